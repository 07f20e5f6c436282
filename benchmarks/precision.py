"""Tests whether bfloat16 training loses anything: same start and batches in both precisions.

    python benchmarks/precision.py --size=mini-64 --output=precision.png
    python benchmarks/precision.py --size=base --mnli=DATA/mnli/train.tsv --output=precision.png

Trains MNLI's first `--steps` updates in both precisions with `--seeds` seeds (order of examples,
head, dropout); runs of one seed have the same start, batches and dropout. Losses are means over
`--window` steps. bfloat16 is within noise if at every step its mean difference from float32 over
the seeds is below the standard deviation between float32 seeds. Once the loss falls, two runs of
one seed drift apart by chance as runs of two seeds do: judge the mean, not a pair. Draws the
curves; the last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

import jax
import numpy as np
from etils import epath
from flax import nnx

from xt_jax import model as models
from xt_jax.config import Config, DataConfig, ModelConfig
from xt_jax.data.packing import Features, materialise, plan_training
from xt_jax.data.tokenize import fingerprint
from xt_jax.model.pretrained import Pretrained, open_pretrained
from xt_jax.model.sharding import make_mesh, place_batch, place_param, place_params, row_multiple
from xt_jax.study.build import open_data
from xt_jax.study.datasets import Reader
from xt_jax.tasks.table import FAMILIES, TASKS
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import StepSpec, compile_step, init_state

MINI_RATE = 1e-3  # small encoders hardly move at the published models' rate
TASK = TASKS["mnli"]
COLOURS = {"float32": "#3b6fb6", "bfloat16": "#d1495b"}


def prepare(args: argparse.Namespace, cache: epath.Path) -> tuple[Pretrained, Features]:
    """Loads the initial model and MNLI's tokenised training set."""
    count = args.steps * TASK.recipe.batch_size
    data = DataConfig(source="mini", max_train_examples=count)
    if args.mnli:
        data = DataConfig(dir=str(Path(args.mnli).parents[1]), max_train_examples=count)
    elif args.data:
        data = DataConfig(dir=args.data, max_train_examples=count)
    model = ModelConfig(name=args.size, tokenizer=args.tokenizer, random_init=args.random_init)
    config = Config(model=model, data=data)
    read, tokenizer = open_data(config, cache)
    source = open_pretrained(config.model, tokenizer)
    key = fingerprint(source.tokenizer)
    reader = Reader(source.tokenizer, key, read, cache)
    files = reader.find("mnli", "train", "en")[:1]
    return source, reader.dataset(TASK, TASK.recipe, "train", files).features


def train(source: Pretrained, features: Features, dtype: str, seed: int, args) -> np.ndarray:
    """Trains one run and returns its losses [steps]."""
    mesh = make_mesh()
    recipe = TASK.recipe
    if args.learning_rate:
        recipe = dataclasses.replace(recipe, learning_rate=args.learning_rate)
    plan = plan_training(
        features.lengths,
        recipe.batch_size,
        args.steps * recipe.batch_size / len(features),
        seed,
        row_multiple=row_multiple(),
        rows_multiple=mesh.shape["data"],
        hidden_size=source.config.hidden_size,
    )
    encoder = source.load(None, lambda path, array: place_param(path, array, mesh, "replicated"))
    encoder = models.with_options(encoder, dtype=dtype)
    head = FAMILIES["pairs"].head(encoder.config, len(TASK.labels), nnx.Rngs(seed))
    graphdef, params = nnx.split(models.Model(encoder, head))
    optimizer = make_optimizer(recipe, args.steps)
    loss = FAMILIES["pairs"].loss
    assert loss is not None
    spec = StepSpec(graphdef, loss, optimizer, clip_norm=recipe.clip_norm)
    state = init_state(place_params(params, mesh, "replicated"), optimizer, mesh, seeds=[seed])
    step = compile_step(spec, state)
    losses = []
    for index in range(args.steps):
        batch = place_batch(materialise(plan, features, index, source.pad_id), mesh)
        state, sums = step(state, batch)
        losses.append(sums["loss"][0] / sums["loss"][1])
    return np.asarray(jax.device_get(losses), np.float64)


def smoothed(losses: np.ndarray, window: int) -> np.ndarray:
    """Returns the means of `window` consecutive steps along the last axis."""
    return np.lib.stride_tricks.sliding_window_view(losses, window, axis=-1).mean(-1)


def compare(exact: np.ndarray, half: np.ndarray, window: int) -> dict[str, float | bool]:
    """Returns figures that compare float32 and bfloat16 losses, both [seeds, steps]."""
    difference, noise = difference_and_noise(exact, half, window)
    return {
        "largest_share_of_noise": float((np.abs(difference) / noise).max()),
        "mean_difference": float(difference.mean()),
        "final_difference": float(difference[-1]),
        "final_noise": float(noise[-1]),
        "final_float32": float(smoothed(exact, window)[:, -1].mean()),
        "final_bfloat16": float(smoothed(half, window)[:, -1].mean()),
        "within_noise": bool((np.abs(difference) <= noise).all()),  # False where one is not finite
    }


def difference_and_noise(exact: np.ndarray, half: np.ndarray, window: int):
    """Returns by step: mean bfloat16 minus float32, and the deviation of float32 seeds."""
    curves = smoothed(exact, window)
    return (smoothed(half, window) - curves).mean(0), curves.std(axis=0, ddof=1)


def draw(exact: np.ndarray, half: np.ndarray, window: int, title: str, path: str) -> None:
    """Draws the losses of all seeds, and below their mean difference and the noise of seeds."""
    from matplotlib import pyplot as plt

    steps = np.arange(window, exact.shape[1] + 1)
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(7, 6), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    for dtype, losses, style in (("float32", exact, "-"), ("bfloat16", half, "--")):
        for i, curve in enumerate(smoothed(losses, window)):
            label = None if i else f"{dtype}, a line for each of {len(losses)} seeds"
            top.plot(steps, curve, color=COLOURS[dtype], ls=style, lw=1.3, label=label)
    top.set(ylabel=f"loss, mean of {window} steps", title=title)
    top.legend(frameon=False)
    difference, noise = difference_and_noise(exact, half, window)
    label = "± standard deviation of float32 seeds"
    bottom.fill_between(steps, -noise, noise, color="0.9", label=label)
    label = "bfloat16 - float32, mean of seeds"
    bottom.plot(steps, difference, color=COLOURS["bfloat16"], label=label)
    bottom.set(xlabel="step", ylabel="difference of losses", ylim=(None, 1.6 * noise.max()))
    bottom.legend(frameon=False, ncols=2, loc="upper left", fontsize="small")
    for axis in (top, bottom):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="mini-64", help="a preset or a Hugging Face folder")
    parser.add_argument("--tokenizer", default="", help="folder or hub id, if not the model's own")
    parser.add_argument("--random_init", action="store_true", help="do not read trained weights")
    parser.add_argument(
        "--data", default="", help="folder with mnli/train.tsv; default: mini world"
    )
    parser.add_argument("--mnli", default="", help="an MNLI file DATA/mnli/train.tsv")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument(
        "--learning_rate", type=float, default=0.0, help="default: the recipe's; 1e-3 for mini"
    )
    parser.add_argument("--seeds", type=int, default=4, help="at least 2")
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--output", default="precision.png")
    args = parser.parse_args()
    if args.size.startswith("mini"):
        args.learning_rate = args.learning_rate or MINI_RATE
    with tempfile.TemporaryDirectory() as folder:
        source, features = prepare(args, epath.Path(folder))
    runs: dict[str, list[np.ndarray]] = {dtype: [] for dtype in COLOURS}
    for seed in range(args.seeds):
        for dtype, losses in runs.items():
            losses.append(train(source, features, dtype, seed, args))
            shown = " ".join(f"{x:.4f}" for x in losses[-1][:: max(1, args.steps // 10)])
            print(f"{dtype} seed {seed}: {shown} ... {losses[-1][-1]:.4f}", flush=True)
    exact, half = (np.stack(losses) for losses in runs.values())
    figures = compare(exact, half, args.window)
    verdict = "within" if figures["within_noise"] else "NOT within"
    print(f"bfloat16 stays {verdict} the noise between seeds")
    where = jax.devices()[0].device_kind
    title = f"MNLI on {source.name}, {len(features):,} examples, {where}"
    draw(exact, half, args.window, title, args.output)
    setting = {"model": source.name, "steps": args.steps, "seeds": args.seeds, "device": where}
    print(json.dumps(setting | figures))


if __name__ == "__main__":
    main()
