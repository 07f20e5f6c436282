"""Lowers the project's own programs for devices that need not be present.

The arrays of a batch are taken from a few examples of the embedded world; the number and length of
its rows are planned, as in a study, from lengths like those of the official data
(`xt_jax.study.forecast.OFFICIAL`).
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from etils import epath
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xt_jax import model as models
from xt_jax.config import Config, DataConfig, ModelConfig, of_model
from xt_jax.data.packed_sets import pack_sets
from xt_jax.data.packing import Features, plan_training
from xt_jax.model.heads import Model
from xt_jax.model.predict import Predictor
from xt_jax.model.sharding import MEMBER, abstract_params, member_mesh, members_of, rows_multiple
from xt_jax.retrieval import topk
from xt_jax.study.build import Study, build_study
from xt_jax.study.forecast import OFFICIAL, architecture_of
from xt_jax.study.phases import seeds_within
from xt_jax.study.task_data import Phase, TaskData
from xt_jax.tasks.table import FAMILIES, per_example
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import StepSpec, abstract_state, compile_step

LANES = 128  # of a TPU's vector register: rows are multiples of it
STEP_TOKENS = 8192  # of a prediction on each device
SENTENCES = 400_000  # of a BUCC corpus, about
# Words that are trained where the vocabulary is pruned: XLM-R's pieces in 18 million tokens of
# English, extrapolated from MNLI's (9,900 in 118,000 tokens; 45,000) and rounded up.
WORDS = 60_000
_STEPS = 40  # planned to find the shape of all steps


class Program(NamedTuple):
    """A program to compile, and what its check needs to know.

    Attributes:
        shape: of its batch, in words.
        tokens: of a training step on all chips together; 0 for other programs.
        examples: that a run takes on all chips together, of all seeds; 0 for the search.
        lower: lowers the program.
        params: the full shapes of all parameters; several seeds add a leading axis.
        mesh: the devices that it is lowered for.
        head_dim: size of the parts into which the compiler may cut the hidden axis.
        bf16: whether every large product is meant to be of bfloat16 arrays.
    """

    name: str
    shape: str
    tokens: int
    examples: float
    lower: Callable[[], jax.stages.Lowered]
    params: list[tuple[int, ...]]
    mesh: Mesh
    head_dim: int
    bf16: bool


def programs(config: Config, mesh: Mesh, room: float) -> Iterator[Program]:
    """Yields each model's programs: every phase's step, every target's prediction, the search.

    Phases, and predictions, with equal programs come once.

    Args:
        room: bytes of memory on each device, which determine how many seeds are one program.
    """
    names = config.models or (config.model.name,)
    study = _small_study(of_model(config, names[0]))
    for name in names:
        for program in _programs_of(of_model(config, name), study, mesh, room):
            of = f", {name}" if len(names) > 1 else ""
            yield program._replace(name=program.name + of)


def _programs_of(config: Config, study: Study, mesh: Mesh, room: float) -> Iterator[Program]:
    encoder = _encoder(config)
    at_once = config.train.parallel_seeds or seeds_within(encoder, room)
    training_mesh = member_mesh(mesh, config.train.member_chips)
    groups = training_mesh.shape.get(MEMBER, 1)
    for phase in _phases(study):
        alone = len(phase.parts) > 1
        for part in phase.parts:
            seeds = 1 if alone else min(math.ceil(config.seeds / groups), at_once)
            yield _training(config, encoder, phase, part, training_mesh, seeds * groups)
    for data in study.targets.values():
        yield _prediction(config, encoder, data, mesh)
    if any(data.train is None for data in study.targets.values()):
        yield _search(encoder, mesh)


def _small_study(config: Config) -> Study:
    """Builds a study of a few examples of the embedded world and a mini encoder without weights."""
    model = ModelConfig(name="mini-24", random_init=True)
    data = DataConfig(source="mini", max_train_examples=64, max_eval_examples=16)
    small = dataclasses.replace(config, model=model, data=data, seeds=1, allow_missing=True)
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # no warnings of languages that the embedded world lacks
    try:
        with tempfile.TemporaryDirectory() as folder:
            return build_study(small, epath.Path(folder))
    finally:
        logging.set_verbosity(before)


def _encoder(config: Config) -> models.EncoderConfig:
    """Returns the encoder's architecture with the options that it has on a TPU."""
    model, architecture = config.model, architecture_of(config.model.name)
    dropout = model.attention_dropout
    return dataclasses.replace(
        architecture,
        dtype="bfloat16" if model.dtype == "auto" else model.dtype,
        remat=models.remat_on("tpu") if model.remat == "auto" else model.remat,
        attention=model.attention,
        attention_dropout=architecture.attention_dropout if dropout is None else dropout,
    )


def _phases(study: Study) -> list[Phase]:
    targets = {data.task.train: data for data in study.targets.values() if data.train is not None}
    trained = [Phase("+".join(names), (data,), data.recipe) for names, data in targets.items()]
    return [*study.intermediates.values(), *trained]


def _training(
    config: Config,
    encoder: models.EncoderConfig,
    phase: Phase,
    part: TaskData,
    mesh: Mesh,
    seeds: int,
) -> Program:
    """Returns a training step of `part`; a mixture's other heads, which are small, are left out."""
    train = part.train
    assert train is not None
    family, accumulate = FAMILIES[part.task.family], config.train.accumulate
    assert family.loss is not None
    group, recipe = per_example(part.task), part.recipe
    lengths = _lengths(part, group)
    plan = plan_training(
        lengths,
        recipe.batch_size,
        1,
        0,
        batch_tokens=recipe.batch_tokens,
        packing=config.train.packing,
        row_multiple=LANES,
        rows_multiple=rows_multiple(config.train, mesh),
        hidden_size=encoder.hidden_size,
        group=group,
    )
    if config.train.fold_vocabulary and not any(other.is_text for other in phase.parts):
        words = min(encoder.vocab_size, WORDS)
        encoder = dataclasses.replace(encoder, vocab_size=words)
    graphdef, params = _abstract(encoder, part)
    optimizer = make_optimizer(phase.recipe, 1000)
    spec = StepSpec(graphdef, family.loss, optimizer, accumulate, recipe.clip_norm)

    def lower() -> jax.stages.Lowered:
        laid_out = abstract_params(params, mesh, config.train.sharding)
        state = abstract_state(laid_out, optimizer, mesh, _platform(mesh), seeds)
        shape = (plan.rows, plan.length, plan.segments)
        batch = _batch(train.features, shape, mesh, accumulate, seeds)
        return compile_step(spec, state).lower(state, batch)

    each = f", {seeds} seeds" if seeds > 1 else ""
    micro = f" in {accumulate} parts" if accumulate > 1 else ""
    shape = f"{plan.rows} x {plan.length} tokens{micro}{each}"
    is_bf16 = encoder.dtype == "bfloat16"
    shapes = [(seeds, *shape) if seeds > 1 else shape for shape in _shapes(params)]
    name, tokens = f"train {part.task.name}", plan.rows * plan.length
    examples = seeds * len(plan.feature) / (plan.steps * group)
    return Program(name, shape, tokens, examples, lower, shapes, mesh, encoder.head_dim, is_bf16)


def _prediction(
    config: Config, encoder: models.EncoderConfig, data: TaskData, mesh: Mesh
) -> Program:
    family = FAMILIES[data.task.family]
    graphdef, params = _abstract(encoder, data)
    predictor = Predictor(graphdef, family.predict, mesh, encoder)
    features, lengths = data.scored[0].features, _lengths(data, 1)
    stream = pack_sets(
        [Features(lengths, {}, {})],
        packing=config.train.packing,
        devices=mesh.shape["data"],
        row_multiple=LANES,
        hidden_size=encoder.hidden_size,
        step_tokens=STEP_TOKENS,
    )
    plan = stream.plan

    def lower() -> jax.stages.Lowered:
        laid_out = abstract_params(params, mesh, config.train.sharding)
        batch = _batch(features, (plan.rows, plan.length, plan.segments), mesh)
        return predictor.lower(laid_out, batch)

    verb = "embed" if data.train is None else "predict"
    shape = f"{plan.rows} x {plan.length} tokens"
    name, is_bf16 = f"{verb} {data.task.name}", encoder.dtype == "bfloat16"
    examples, shapes = len(lengths) / (plan.steps * per_example(data.task)), _shapes(params)
    return Program(name, shape, 0, examples, lower, shapes, mesh, encoder.head_dim, is_bf16)


def _search(encoder: models.EncoderConfig, mesh: Mesh) -> Program:
    def lower() -> jax.stages.Lowered:
        return topk.lower(SENTENCES, SENTENCES, encoder.hidden_size, 4, mesh)

    shape = f"{SENTENCES} x {SENTENCES} sentences"
    return Program("search bucc", shape, 0, 0, lower, [], mesh, 1, False)


def _abstract(encoder: models.EncoderConfig, data: TaskData) -> tuple[Any, nnx.State]:
    """Returns the graph and shapes of the task's model, or of the encoder alone."""
    new_head = FAMILIES[data.task.family].head

    def make() -> nnx.Module:
        made = models.Encoder(encoder, rngs=nnx.Rngs(0))
        if data.train is None or new_head is None:
            return made
        return Model(made, new_head(encoder, len(data.task.labels), nnx.Rngs(0)))

    return nnx.split(jax.eval_shape(make))


def _batch(
    features: Features,
    shape: tuple[int, int, int],
    mesh: Mesh,
    accumulate: int = 1,
    seeds: int = 1,
) -> dict[str, Any]:
    """Returns the shapes of the arrays that `batch_stream` would make."""
    rows, length, segments = shape
    micro = (seeds,) if seeds > 1 or MEMBER in mesh.axis_names else ()
    leading = members_of(mesh) if micro else P()
    if accumulate > 1:
        micro, leading = (*micro, accumulate), P(*leading, None)
    sharding = NamedSharding(mesh, P(*leading, "data"))
    sizes = dict.fromkeys([*features.tokens, "positions", "segment_ids"], length)
    sizes |= dict.fromkeys([*features.fields, "starts", "feature"], segments)
    return {
        name: jax.ShapeDtypeStruct((*micro, rows // accumulate, size), jnp.int32, sharding=sharding)
        for name, size in sizes.items()
    }


def _lengths(data: TaskData, group: int) -> np.ndarray:
    """Draws lengths of features, with the official mean and cut at the recipe's length.

    Token counts of sentences are skewed: half a standard deviation of their logarithm is that of
    MNLI's training pairs.
    """
    names = data.task.train or ("mnli",)  # retrieval: sentences, of which a pair is two
    mean = np.mean([OFFICIAL[name][1] for name in names if name in OFFICIAL] or [45]) / group
    mean = mean / 2 if data.train is None else mean
    step = max(data.recipe.batch_size, 32, int(data.recipe.batch_tokens / (mean * group)))
    count = step * _STEPS * group
    drawn = np.random.default_rng(0).lognormal(np.log(mean) - 0.125, 0.5, count)
    return np.clip(drawn, 5, data.recipe.max_length // group).astype(np.int32)


def _shapes(params: nnx.State) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in jax.tree.leaves(params)]


def _platform(mesh: Mesh) -> str:
    return mesh.devices.flat[0].platform
