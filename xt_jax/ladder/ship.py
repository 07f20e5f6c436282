"""Puts a pretrained mini encoder where `--config.model.name=mini-64` finds it, with a model card.

    python -m xt_jax.ladder.ship runs/mini-64/phases/mlm-s0-<hash> --name=mini-64

The folder is that of a finished `mlm` phase (configs/pretrain_mini.py), or one of its
`best/step-<n>/`. The output is config.json, model.safetensors (float16, with the MLM head) and
README.md, the model card. Its losses are those of the float16 weights on `mlm/dev-<lang>.txt`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath
from flax import nnx

from xt_jax import command
from xt_jax import model as models
from xt_jax.data.sources import open_source
from xt_jax.data.tokenize import Tokenizer, fingerprint, load_tokenizer
from xt_jax.errors import ConfigError, DataError
from xt_jax.files import find
from xt_jax.mini.weights import ENCODERS, tokenizer_folder
from xt_jax.model.hf import read_config
from xt_jax.model.hf_files import replace_folder
from xt_jax.model.predict import Predictor
from xt_jax.model.presets import MINI
from xt_jax.model.sharding import make_mesh, place_params
from xt_jax.records.json_files import read_object, read_objects
from xt_jax.study.datasets import tokenised
from xt_jax.study.phases import FILE
from xt_jax.tasks import mlm
from xt_jax.tasks.table import TASKS

Record = dict[str, Any]


def ship(
    trained: epath.PathLike,
    name: str,
    *,
    data_dir: epath.PathLike | None = None,
    output: epath.PathLike = ENCODERS,
    tokenizer: epath.PathLike | None = None,
) -> epath.Path:
    """Writes the folder of a mini encoder, `<output>/<name>/`, completely or not at all.

    Args:
        trained: the folder of a finished `mlm` phase, or a `best/step-<n>/` in it.
        name: the preset.
        data_dir: with `mlm/dev-<lang>.txt`; None: the world of the run, `<workdir>/cache/mini-*`.
        tokenizer: the folder of the shared one; None: the package's.

    Raises:
        ConfigError: no such phase, or a model of another size or with another tokenizer.
        DataError: no dev text.
    """
    best, record = _trained(epath.Path(trained))
    shared = load_tokenizer(str(tokenizer or tokenizer_folder()))
    _check(best, name, shared)
    model, _ = models.load_model(best)
    text = epath.Path(data_dir) if data_dir else _text_of(best.parents[3])
    target = epath.Path(output) / name
    with replace_folder(target) as folder:
        models.save(model, folder, dtype="float16")
        losses = dev_losses(folder, shared, text, record["recipe"]["max_length"])
        (folder / "README.md").write_text(_card(name, folder, model, record, losses))
    return target


def dev_losses(
    folder: epath.Path, tokenizer: Tokenizer, data_dir: epath.Path, max_length: int
) -> dict[str, float]:
    """Returns the mean cross-entropy (nats) of masked tokens of `mlm/dev-<lang>.txt`, by language.

    Which tokens are masked does not depend on the model.

    Raises:
        DataError: no dev text.
    """
    source = open_source("files", str(data_dir))
    features = {
        language: tokenised(
            TASKS["mlm"], source.find("mlm", "dev", language)[0].read(()), tokenizer,
            max_length=max_length,
        )
        for language in source.languages("mlm", "dev")
    }  # fmt: skip
    if not features:
        raise DataError(
            "There is no text to measure the losses on.",
            where=source.expected("mlm", "dev", "en"),
            remedy="name the folder of the world that the model was trained on: --data_dir=DIR",
        )
    mesh = make_mesh()
    model, _ = models.load_model(folder)
    graphdef, params = nnx.split(model)
    params = place_params(params, mesh, "replicated")
    predictor = Predictor(graphdef, mlm.predict, mesh, model.encoder.config)
    languages, sets = list(features), list(features.values())
    return {
        languages[i]: float(np.sum(sums["loss"], dtype=np.float64) / np.sum(sums["count"]))
        for i, sums in predictor(params, predictor.stream(sets))
    }


def _text_of(workdir: epath.Path) -> epath.Path:
    """Returns the world's text that a run wrote; the working directory itself if there is none."""
    worlds = [path.parent for path in find(workdir, "cache/mini-*/mlm")]
    return worlds[0] if worlds else workdir


def _trained(folder: epath.Path) -> tuple[epath.Path, Record]:
    """Returns the folder of the best weights, and the phase's record with best step and seconds."""
    phase = folder.parent.parent if folder.parent.name == "best" else folder
    missing = [name for name in (FILE, "done.json", "log.jsonl") if not (phase / name).exists()]
    record = {} if missing else read_object(phase / FILE)
    if missing or record["phase"] != "mlm":
        raise ConfigError(
            f"This is no finished phase of masked language modelling: no {missing[0]}."
            if missing
            else f"This phase trained {record['phase']}, not mlm.",
            where=folder,
            remedy="name WORKDIR/phases/mlm-... of a run of configs/pretrain_mini.py that has "
            "ended",
        )
    step = read_object(phase / "done.json")["best_step"]
    best = folder if phase != folder else phase / "best" / f"step-{step}"
    lines = [line for _, line in read_objects(phase / "log.jsonl")]
    record |= {"best_step": int(best.name.removeprefix("step-")), "seconds": _seconds(lines)}
    return best, record


def _seconds(lines: Sequence[Record]) -> float:
    """Returns the seconds of training and evaluation in a log; a resumed run's clock restarts."""
    clock = [line["seconds"] for line in lines]
    ends = [now for now, then in zip(clock, [*clock[1:], 0.0], strict=True) if then < now]
    return sum(ends)


def _check(best: epath.Path, name: str, shared: Tokenizer) -> None:
    wanted = models.preset(name, len(shared)).config
    actual = read_config(best)
    if actual != wanted:
        raise ConfigError(
            f"These are not the dimensions of {name}: {actual}, not {wanted}.",
            where=best / "config.json",
            remedy=f"train with configs/pretrain_mini.py:size={name}, or give another --name",
        )
    if fingerprint(load_tokenizer(str(best))) != fingerprint(shared):
        raise ConfigError(
            "The model was trained with another tokenizer than the mini encoders share.",
            where=best,
            remedy="train it again without --config.model.tokenizer, or give its --tokenizer",
        )


def _card(
    name: str, folder: epath.Path, model: models.Model, record: Record, losses: dict[str, float]
) -> str:
    config, recipe = model.encoder.config, record["recipe"]
    encoder, total = models.count_params(model.encoder)
    size = sum(file.stat().length for file in folder.iterdir())
    rows, length = record["rows"]["mlm"]
    command = record["command"]
    facts = {
        "architecture": f"XLM-R: {config.num_layers} layers, width {config.hidden_size}, "
        f"{config.num_heads} heads, feed-forward {config.intermediate_size}, "
        f"vocabulary {config.vocab_size}, positions {config.max_positions}, "
        f"dropout {config.dropout:g}",
        "parameters": f"{encoder:,} in the encoder without embeddings, {total:,} with them",
        "seed": record["seed"],
        "steps": f"{record['steps']:,}, the weights are those of step {record['best_step']:,}",
        "step": f"{recipe['batch_size']} lines in {rows} rows of {length} tokens",
        "tokens seen": f"{record['tokens']:,} without padding",
        "optimizer": f"AdamW, peak learning rate {recipe['learning_rate']:g}, "
        f"b2 {recipe['adam_b2']:g}, decay {recipe['weight_decay']:g}, "
        f"clipping at {recipe['clip_norm']:g}, warm-up {recipe['warmup_ratio']:.0%}, "
        "then linear to 0",
        "trained on": f"{record['machine']}, {record['seconds'] / 60:.1f} minutes",
        "files": f"{size / 1e6:.2f} MB, float16",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    by_language = "\n".join(f"| {language} | {loss:.3f} |" for language, loss in losses.items())
    return f"""# {name}

A miniature of XLM-R, pretrained from random weights by masked language modelling of the plain text
of xt_jax's embedded world, monolingual text only. It knows that world and nothing else. The
tokenizer is `../tokenizer/`.

```sh
{command}
```

| | |
|---|---|
{table}

Cross-entropy in nats of a masked token (15 % of the tokens) of the development text:

| language | loss |
|---|---|
{by_language}
"""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("trained", help="the phase's folder, or a best/step-<n>/ in it")
    parser.add_argument("--name", required=True, choices=MINI)
    parser.add_argument("--data_dir", help="with mlm/dev-<lang>.txt; default: the run's world")
    parser.add_argument("--output", default=str(ENCODERS), help="where <name>/ goes")
    parser.add_argument("--tokenizer", help="the shared one; default: the package's")
    options = command.parsed(parser, argv)
    folder = ship(
        options.trained,
        options.name,
        data_dir=options.data_dir,
        output=options.output,
        tokenizer=options.tokenizer,
    )
    print((folder / "README.md").read_text(), end="")


if __name__ == "__main__":
    command.run(main)
