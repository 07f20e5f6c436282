"""The typed configuration of an experiment; every field has a comment that explains it."""

# No `from __future__ import annotations`: ml_collections reads the fields' types at run time.
import ast
import dataclasses
import difflib
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xt_jax.errors import ConfigError

PHASES = ("intermediate", "target")


@dataclass
class ModelConfig:
    # A preset (mini-64, base, large, xl, ...; tiny and small are random), a Hugging Face folder or
    # a hub id.
    name: str = "tiny"
    # Tokenizer folder or hub id; empty: the model's own.
    tokenizer: str = ""
    # Random weights at the model's dimensions instead of the trained weights (of a folder or hub id
    # only config.json and the tokenizer are read); without an alias the name ends in `-random`.
    random_init: bool = False
    # Seed of random weights: one number is one pretraining run.
    random_seed: int = 0
    # The model's name in tables, reports and submissions; empty: the last part of its folder or hub
    # id. Two models of one name in one workdir are an error.
    alias: str = ""
    # Compute precision: float32, bfloat16 or auto (bfloat16 on TPU and GPU, float32 on CPU).
    dtype: str = "auto"
    # Gradient checkpointing policy: what is kept for the backward pass, from most memory to least:
    # none (everything is kept), scores (all but the attention scores), dots (products with the
    # weights, attention outputs), outputs (layer inputs, attention outputs), full (layer inputs);
    # auto is scores on a TPU, where it is also faster, and else none.
    remat: str = "auto"
    # Attention kernel: xla (everywhere), splash (TPU) or cudnn (NVIDIA GPU, bfloat16); the fused
    # two need attention_dropout=0.
    attention: str = "xla"
    # Share of attention probabilities dropped in training; unset: as the checkpoint says.
    attention_dropout: float | None = None


@dataclass
class DataConfig:
    # Where examples come from: files (official formats under `dir`), tfds, hub or mini (the
    # embedded world).
    source: str = "files"
    # Folder of the files, of TFDS's data sets, or of the hub's parquet (tfds, hub: may be empty).
    dir: str = ""
    # Languages of the intermediate tasks' training data; any but English is machine-translated.
    intermediate_languages: tuple[str, ...] = ("en",)
    # Folder for tokenised examples; empty: <workdir>/cache.
    cache_dir: str = ""
    # Scored split: test, dev, or auto (for each task the one with more labelled languages).
    eval_split: str = "auto"
    # Train on n evenly spaced examples; 0: all. The embedded world is made with n.
    max_train_examples: int = 0
    # Score n evenly spaced examples of each language; 0: all. The embedded world is made with n.
    max_eval_examples: int = 0


@dataclass
class RecipeOverrides:
    # Each field replaces the task's recipe (xt_jax/tasks/table.py) in this phase; unset: keep it.
    learning_rate: float | None = None
    # A sweep over learning rates, in place of one: per model, task and start the one with the best
    # score on the task's English dev, chosen with the first seed and then used for every seed.
    learning_rates: tuple[float, ...] = ()
    epochs: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    # Tokens a step, padding included, in place of `batch_size` examples; 0: exact batches.
    batch_tokens: int | None = None
    max_length: int | None = None
    warmup_ratio: float | None = None
    weight_decay: float | None = None
    adam_b2: float | None = None
    clip_norm: float | None = None
    eval_every: int | None = None
    eval_examples: int | None = None
    patience: int | None = None


@dataclass
class TrainConfig:
    # Several examples per row; False: one example per row.
    packing: bool = True
    # Microbatches a step; gradients and loss weights are summed and divided once.
    accumulate: int = 1
    # The rows of a microbatch are a multiple of this number; 0: of the number of devices. Set it to
    # the most devices that a study may get: then it has the same batches, and resumes, on fewer.
    rows_multiple: int = 0
    # Vocabulary pruning: train only the word embeddings that occur in a phase's data; the result is
    # the same and costs less.
    fold_vocabulary: bool = True
    # The most seeds of a phase trained as one program on the same devices; 0: as many as are
    # faster; 1: one by one.
    parallel_seeds: int = 0
    # Chips that train a seed of a phase while the others train other seeds: as few as hold the
    # model. 0: all chips train one seed.
    member_chips: int = 0
    # Save a state (parameters, optimizer, data position, early stopping) every n steps ...
    save_every_steps: int = 1000
    # ... and whenever this many minutes have passed since the last one.
    save_every_minutes: float = 10.0
    # Keep the parameters after these steps, too, in <phase>/kept/step-<n>: checkpoints along
    # pretraining, each of which `models` can name.
    keep_steps: tuple[int, ...] = ()
    # Steps between log lines.
    log_every: int = 100
    # Write TensorBoard event files beside each phase's log.
    tensorboard: bool = True
    # Weights & Biases project that also gets the logged numbers; empty: none. Needs wandb.
    wandb: str = ""
    # Devices along the `model` axis of the mesh; the rest go to `data`.
    model_axis: int = 1
    # Parameter layout: replicated or fsdp.
    sharding: str = "replicated"


@dataclass
class MixtureConfig:
    # How steps are shared among the tasks of a multi-task intermediate (`mnli+squad`): capped,
    # proportional, uniform, temperature or given.
    sampler: str = "capped"
    # sampler=capped: in proportion to min(examples, cap).
    cap: int = 131072
    # sampler=temperature: in proportion to examples ** (1 / temperature).
    temperature: float = 2.0
    # sampler=given: a weight for each task in the order of the name, `mlm` left out.
    weights: tuple[float, ...] = ()
    # One head for all tasks of a family with the same labels; False: a head per task.
    shared_heads: bool = False
    # Total steps; 0: the recipe's, else the sum of the steps of the tasks' own epochs.
    steps: int = 0
    # Share of the steps that train masked language modelling, if `mlm` is among the tasks.
    mlm_ratio: float = 0.2
    # Languages of the `mlm` text; empty: all that exist.
    mlm_languages: tuple[str, ...] = ()
    # `mlm` draws a language in proportion to its number of lines to this power.
    mlm_exponent: float = 0.3


@dataclass
class RetrievalConfig:
    # Hidden state that Tatoeba and BUCC compare: published (14 of 24, 8 of 12, 7/12 of others), dev
    # (for each checkpoint and language the best on pairs that are not scored: the language's own
    # dev split; where there is none or it is the scored one, the mean over the other languages) or
    # a number from 0 (embeddings).
    layer: str = "published"
    # A sentence's embedding: mean over all its tokens, mean_no_special, or its first token.
    pooling: str = "mean"
    # Also score BUCC at every layer, as Tatoeba always is, and BUCC too where layer=dev.
    all_layers: bool = False


@dataclass
class RayConfig:
    # Address of a Ray cluster whose nodes all share `workdir`: host:port, auto (the cluster of this
    # machine) or local (starts one on this machine); empty: no Ray, this process does all jobs.
    address: str = ""
    # Resources that a job takes of a node: CPUs, GPUs, and others by name as JSON: {"TPU": 4}.
    cpus: float = 1.0
    gpus: float = 0.0
    resources: str = "{}"
    # How often a job is started again after its node was lost.
    retries: int = 5


@dataclass
class Config:
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    ray: RayConfig = field(default_factory=RayConfig)
    # Models to compare, named as in `model.name`; empty: `model.name` alone.
    models: tuple[str, ...] = ()
    # Intermediate tasks to compare: `direct` is none, `mnli+squad+mlm` multi-task training.
    intermediates: tuple[str, ...] = ("mnli",)
    # Target tasks; empty: all; `none`: only the intermediate phases, nothing is scored.
    targets: tuple[str, ...] = ()
    # Languages to score; empty: all languages of each task.
    languages: tuple[str, ...] = ()
    # Recipe changes in the intermediate and in the target phase.
    intermediate: RecipeOverrides = field(default_factory=RecipeOverrides)
    target: RecipeOverrides = field(default_factory=RecipeOverrides)
    # First seed and number of seeds.
    seed: int = 0
    seeds: int = 1
    # `3/16`: the third of 16 shards of the study, each run by its own process; empty: all of it.
    shard: str = ""
    # Also predict test sets that are not scored, and write all of them in XTREME's submission form.
    submission: bool = True
    # Continue without files that are missing; each one is named in the log.
    allow_missing: bool = False


_NO_LITERAL = (MemoryError, RecursionError, SyntaxError, TypeError, ValueError)  # of literal_eval


def parse_arg(arg: str | None, **defaults: Any) -> dict[str, Any]:
    """Parses the options after the colon of `--config=page.py:size=base,seeds=3`.

    Args:
        defaults: the page's options; each value is parsed as the type of its default.

    Raises:
        ConfigError: an option that the page does not have, or a value of another type.
    """
    options = dict(defaults)
    for item in filter(None, (arg or "").split(",")):
        name, equals, text = item.partition("=")
        if name not in defaults:
            raise ConfigError(
                f"The configuration page has no option `{name}`.",
                where=f"--config=...:{arg}",
                remedy=f"use one of: {', '.join(defaults)}",
            )
        options[name] = _typed(name, text if equals else "True", defaults[name])
    return options


def unknown_field(argv: Sequence[str]) -> ConfigError | None:
    """Returns the error for the first `--config.field` that `Config` does not have, or None."""
    known = _field_names(Config())
    given = [arg.lstrip("-").split("=")[0] for arg in argv if arg.startswith("--config.")]
    unknown = [name for name in given if name.removeprefix("config.") not in known]
    if not unknown:
        return None
    name = unknown[0]
    close = difflib.get_close_matches(name.removeprefix("config."), known, n=3, cutoff=0.4)
    return ConfigError(
        "The configuration has no such field.",
        where=f"--{name}",
        remedy=f"did you mean {' or '.join(close)}?" if close else f"use one of {', '.join(known)}",
    )


def of_model(config: Config, name: str) -> Config:
    """Returns the configuration of one of `models` alone; unchanged if `models` lacks the name."""
    if name not in config.models:
        return config
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, name=name), models=()
    )


def resources_of(config: RayConfig) -> dict[str, float]:
    """Parses the named resources that a job takes of a node.

    Raises:
        ConfigError: they are no dictionary of numbers from 0.
    """
    try:
        resources = ast.literal_eval(config.resources)
        numbers = {str(name): float(number) for name, number in resources.items()}
        if all(0 <= number < math.inf for number in numbers.values()):
            return numbers
    except (*_NO_LITERAL, ArithmeticError, AttributeError):
        pass
    raise ConfigError(
        f"`{config.resources[:100]}` is not a dictionary of numbers.",
        where="--config.ray.resources",
        remedy="""use a dictionary such as '{"TPU": 4}'""",
    )


def apply_overrides(recipe: Any, overrides: RecipeOverrides) -> Any:
    """Returns the recipe with every field replaced that `overrides` sets; the lowest of a sweep."""
    changes = {k: v for k, v in dataclasses.asdict(overrides).items() if v is not None}
    rates = changes.pop("learning_rates")
    if rates:
        changes["learning_rate"] = float(min(rates))
    return dataclasses.replace(recipe, **changes)


def swept_rates(config: Config) -> dict[str, tuple[float, ...]]:
    """Returns each phase's candidates of a sweep, the lowest first; () where its rate is fixed."""
    given = {phase: getattr(config, phase).learning_rates for phase in PHASES}
    return {
        phase: tuple(sorted(map(float, rates))) if len(rates) > 1 else ()
        for phase, rates in given.items()
    }


def digest(*parts: Any) -> str:
    """Returns the hex SHA-256 of values that JSON can hold (dataclasses included)."""
    text = json.dumps(parts, sort_keys=True, default=_jsonable, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _field_names(config: Any, prefix: str = "") -> list[str]:
    names = []
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        nested = dataclasses.is_dataclass(value)
        names += _field_names(value, f"{prefix}{entry.name}.") if nested else [prefix + entry.name]
    return names


def _typed(name: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        return text
    kind = type(default)
    try:
        value = ast.literal_eval(text)
        if kind is float and type(value) is int:
            value = float(value)
    except (*_NO_LITERAL, OverflowError):
        value = text
    if type(value) is not kind:
        raise ConfigError(
            f"Option `{name}` wants a {kind.__name__}, got `{text}`.",
            where=f"--config=...:{name}={text}",
            remedy=f"for example {name}={default}",
        )
    return value


def _jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"cannot take the digest of a {type(value).__name__}")
