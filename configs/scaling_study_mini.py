"""The study on the embedded world: how the gap to direct fine-tuning changes over five mini sizes.

    python run.py --config=configs/scaling_study_mini.py --workdir=runs/mini_study

Five sizes x (direct, four intermediate tasks, all four by turns) x nine targets x five seeds.
`--dry_run` prints the graph and what it costs; docs/mini_study/ holds the report of this command.
Options after the colon: `sizes` joined by +, `seeds`. A second command with the same --workdir adds
to the table.
"""

import dataclasses

from configs.quickstart import LEARNING_RATES, USUAL_RATE
from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides, parse_arg
from xt_jax.mini import LANGUAGES
from xt_jax.tasks.table import DIRECT

SIZES = "mini-32+mini-48+mini-64+mini-128+mini-192"
INTERMEDIATES = ("mnli", "squad", "qqp", "hellaswag")


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, sizes=SIZES, seeds=5)
    sizes = tuple(options["sizes"].split("+"))
    recipe = RecipeOverrides(epochs=2, max_length=128, eval_every=1000)
    return Config(
        model=ModelConfig(name=sizes[0]),
        models=sizes,
        learning_rates=tuple(LEARNING_RATES.get(size, USUAL_RATE) for size in sizes),
        data=DataConfig(source="mini", max_train_examples=6000, max_eval_examples=500),
        intermediates=(DIRECT, *INTERMEDIATES, "+".join(INTERMEDIATES)),
        languages=tuple(LANGUAGES),
        intermediate=recipe,
        target=dataclasses.replace(recipe),
        seeds=options["seeds"],
        submission=False,
    )
