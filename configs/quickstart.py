"""The quickstart: an experiment on the embedded world, in a minute on a CPU, without downloads.

    python run.py --config=configs/quickstart.py --workdir=runs/quickstart

Compares direct fine-tuning with MNLI as intermediate task, with a mini encoder that comes with the
package, one seed, and three targets in up to eight languages. Options after the colon: `full=True`
for all nine targets and three seeds (a few minutes); `size` of the mini encoder; `seeds` (0: one,
or three with `full`); `random=True` for random weights in place of the pretrained ones.
"""

import dataclasses

from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides, parse_arg
from xt_jax.mini import LANGUAGES
from xt_jax.tasks.table import DIRECT

TARGETS = ("xnli", "panx", "tatoeba")

# Learning rates by size; at 1e-3 mini-128 learns no NLI. The one of mini-256 is a guess.
USUAL_RATE = 1e-3
LEARNING_RATES = {"mini-128": 5e-4, "mini-192": 3e-4, "mini-256": 2e-4}


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, size="mini-48", full=False, seeds=0, random=False)
    learning_rate = LEARNING_RATES.get(options["size"], USUAL_RATE)
    recipe = RecipeOverrides(learning_rate=learning_rate, epochs=2, max_length=128, eval_every=1000)
    config = Config(
        model=ModelConfig(name=options["size"], random_init=options["random"]),
        data=DataConfig(source="mini"),
        intermediates=(DIRECT, "mnli"),
        languages=tuple(LANGUAGES),
        intermediate=recipe,
        target=dataclasses.replace(recipe),
        seeds=options["seeds"] or (3 if options["full"] else 1),
        submission=False,
    )
    return config if options["full"] else dataclasses.replace(config, targets=TARGETS)
