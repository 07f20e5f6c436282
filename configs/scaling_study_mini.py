"""The study on the embedded world: the gap to direct fine-tuning over five mini sizes.

    python run.py --config=configs/scaling_study_mini.py --workdir=runs/mini_study

Five sizes x (direct, four intermediate tasks, all four multi-task) x nine targets x five seeds.
`--dry_run` prints the jobs and their cost; docs/mini_study/ holds a report of this command.
Options after the colon: `sizes` joined by +, `seeds`. A second command with the same --workdir adds
to the table.
"""

from configs.quickstart import LEARNING_RATES, USUAL_RATE
from xt_jax.config import (
    Config,
    DataConfig,
    MixtureConfig,
    ModelConfig,
    RecipeOverrides,
    parse_arg,
)
from xt_jax.mini import LANGUAGES
from xt_jax.tasks.table import DIRECT

SIZES = "mini-24+mini-32+mini-48+mini-64+mini-96"
INTERMEDIATES = ("mnli", "squad", "qqp", "hellaswag")
TRAIN = 24_000  # examples of an intermediate task, for one epoch
STEPS = 250  # of 32 examples, for a target

# At the targets' rate an intermediate task undoes most of the alignment of pretraining: mini-64's
# Tatoeba score falls from 63 to 17 after MNLI, and at a third of the rate to 42.
GENTLER = 0.3


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, sizes=SIZES, seeds=5)
    sizes = tuple(options["sizes"].split("+"))
    rates = {LEARNING_RATES.get(size, USUAL_RATE) for size in sizes}  # one, unless it has a large
    return Config(
        model=ModelConfig(name=sizes[0]),
        models=sizes,
        data=DataConfig(source="mini", max_train_examples=TRAIN, max_eval_examples=300),
        mixture=MixtureConfig(steps=1500),
        intermediates=(DIRECT, *INTERMEDIATES, "+".join(INTERMEDIATES)),
        languages=tuple(LANGUAGES),
        intermediate=RecipeOverrides(
            learning_rates=tuple(GENTLER * rate for rate in rates),
            epochs=1,
            max_length=128,
            eval_every=1000,
        ),
        target=RecipeOverrides(
            learning_rates=tuple(rates), steps=STEPS, max_length=128, eval_every=1000
        ),
        seeds=options["seeds"],
        submission=False,
    )
