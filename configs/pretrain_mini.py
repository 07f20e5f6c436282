"""Pretrains a mini encoder from random weights by masked language modelling of the mini world.

    python run.py --config=configs/pretrain_mini.py:size=mini-64 --workdir=runs/mini-64
    python -m xt_jax.ladder.ship runs/mini-64/phases/mlm-s0-* --name=mini-64

The first command only trains on the plain text of all languages of the embedded world; no target
follows. It leaves a folder of the best weights, which --config.model.name accepts. The second
copies them to where --config.model.name=mini-64 finds them, with a model card.

Options after the colon: `size`, `steps` (0: the size's default below), `batch` (lines a step; the
default is about 2,000 tokens), `run` (another number gives other first weights, another order and
other masks: a further pretraining run of that size, named mini-64-s1 in tables), `rate` (the
learning rate; several joined by + are a sweep: 1e-3+2e-3, the best by the loss on dev). With
--config.train.keep_steps=1000 and so on the checkpoints after these steps are kept, too, as
folders that --config.models accepts. For your own text: --config.data.source=files and
--config.data.dir=DIR with mlm/train-<lang>.txt and mlm/dev-<lang>.txt; without
--config.model.tokenizer the mini world's tokenizer is used.
"""

from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides, TrainConfig, parse_arg
from xt_jax.errors import ConfigError
from xt_jax.tasks.table import NONE

# Learning rate and steps; mini-256's are a guess. Sizes above mini-96 see less text, to save time.
SIZES = {
    "mini-24": (5e-3, 40_000),
    "mini-32": (5e-3, 40_000),
    "mini-48": (5e-3, 40_000),
    "mini-64": (5e-3, 40_000),
    "mini-96": (2e-3, 40_000),
    "mini-128": (3e-3, 18_000),
    "mini-192": (1e-3, 12_000),
    "mini-256": (5e-4, 10_000),
}


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, size="mini-64", steps=0, batch=48, run=0, rate="")
    if options["size"] not in SIZES:
        raise ConfigError(
            f"`{options['size']}` is not a size of the mini encoders.",
            where=f"--config=...:{arg}",
            remedy=f"use one of: {', '.join(SIZES)}",
        )
    usual_rate, usual_steps = SIZES[options["size"]]
    steps = options["steps"] or usual_steps
    rates = tuple(map(float, options["rate"].split("+"))) if options["rate"] else (usual_rate,)
    return Config(
        model=ModelConfig(name=options["size"], random_init=True, random_seed=options["run"]),
        data=DataConfig(source="mini"),
        train=TrainConfig(save_every_steps=2000, log_every=200),
        intermediates=("mlm",),
        targets=(NONE,),
        seed=options["run"],
        intermediate=RecipeOverrides(
            learning_rate=rates[0] if len(rates) == 1 else None,
            learning_rates=rates if len(rates) > 1 else (),
            steps=steps,
            batch_size=options["batch"],
            max_length=64,
            warmup_ratio=0.06,
            weight_decay=0.01,
            clip_norm=1.0,
            eval_every=max(1, steps // 10),
            eval_examples=0,
            patience=0,
        ),
    )
