"""The study on the embedded world: the gap to direct fine-tuning over mini sizes.

    python run.py --config=configs/scaling_study_mini.py --workdir=runs/mini_study

Four sizes x (direct, four intermediate tasks) x nine targets x two seeds, the rate of each
intermediate phase by its own dev score. That is one pretraining run of each size, the
one that comes with the package. `pretrained=DIR` takes all encoders below DIR instead, which
configs/pretrain_mini.py left there in folders of their own, say DIR/mini-24-s1; with `kept=True`
the checkpoints that it kept along the way. docs/mini_study/ says how the study was made so.

`--dry_run` prints the jobs and their cost. Other options after the colon: `sizes` joined by +,
`seeds`. A second command with the same --workdir adds to the table.
"""

import glob

from xt_jax.config import (
    Config,
    DataConfig,
    ModelConfig,
    RecipeOverrides,
    RetrievalConfig,
    parse_arg,
)
from xt_jax.errors import ConfigError
from xt_jax.mini import LANGUAGES
from xt_jax.tasks.table import DIRECT

SIZES = "mini-24+mini-32+mini-48+mini-64"
INTERMEDIATES = ("mnli", "squad", "qqp", "hellaswag")


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, sizes=SIZES, seeds=2, pretrained="", kept=False)
    models = tuple(options["sizes"].split("+"))
    if options["pretrained"]:
        models = _encoders(options["pretrained"], models, "kept" if options["kept"] else "best")
    return Config(
        model=ModelConfig(name=models[0]),
        models=models,
        data=DataConfig(source="mini", max_train_examples=24_000, max_eval_examples=200),
        retrieval=RetrievalConfig(layer="dev"),
        intermediates=(DIRECT, *INTERMEDIATES),
        languages=tuple(LANGUAGES),
        intermediate=RecipeOverrides(
            learning_rates=(1e-4, 3e-4, 1e-3, 3e-3), steps=750, max_length=128, eval_every=250
        ),
        target=RecipeOverrides(learning_rate=1e-3, steps=250, max_length=128, eval_every=1000),
        seeds=options["seeds"],
        submission=False,
    )


def _encoders(folder: str, sizes: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """Returns the folders of the encoders of `sizes`, all runs of a size together."""
    end = f"phases/mlm-*/{kind}/step-*"
    patterns = [f"{folder}/{size}-s*/{end}" for size in sizes]
    found = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
    if not found:
        raise ConfigError(
            "There is no pretrained encoder.",
            where=patterns[0],
            remedy=f"python run.py --config=configs/pretrain_mini.py:size={sizes[0]},run=1 "
            f"--workdir={folder}/{sizes[0]}-s1",
        )
    return tuple(found)
