"""Runs a whole study over a data source: few examples, a tiny encoder, every target."""

from __future__ import annotations

from pathlib import Path

from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides, TrainConfig
from xt_jax.model import pretrained as encoders
from xt_jax.records import results
from xt_jax.study import runner


def scored(source: str, directory: Path, workdir: Path, tokenizer, monkeypatch) -> dict[str, set]:
    """Returns the languages that have results, by target."""
    monkeypatch.setattr(encoders, "load_tokenizer", lambda _: tokenizer)
    recipe = RecipeOverrides(
        epochs=1, batch_size=8, max_length=192, eval_every=1000, eval_examples=8
    )
    config = Config(
        model=ModelConfig("tiny", "the given one"),
        data=DataConfig(
            source=source, dir=str(directory), max_train_examples=8, max_eval_examples=40
        ),
        train=TrainConfig(packing=True),
        intermediates=("direct",),
        languages=("en", "sw", "th", "vi", "zh"),
        target=recipe,
        submission=False,
        allow_missing=True,
    )
    runner.run(config, str(workdir))
    languages: dict[str, set] = {}
    for row in results.read_rows(workdir / "results.jsonl"):
        languages.setdefault(row["target"], set()).add(row["language"])
    return languages
