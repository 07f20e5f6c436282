"""A pretrained encoder and its tokenizer, by preset, folder or hub id."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
from etils import epath
from flax import nnx

from xt_jax import model as models
from xt_jax.config import ModelConfig, digest
from xt_jax.data.tokenize import Tokenizer, check_fits, load_tokenizer
from xt_jax.errors import ConfigError
from xt_jax.files import is_folder
from xt_jax.model.attention import check_platform, no_dropout
from xt_jax.model.encoder import param_path
from xt_jax.model.hf import read_config
from xt_jax.model.hf_files import resolve_folder
from xt_jax.model.origin import Origin, family_of, read
from xt_jax.model.presets import RANDOM


@dataclass(frozen=True)
class Pretrained:
    """An encoder whose weights are not read yet, and its tokenizer.

    Attributes:
        name: its name in results.
        config: its architecture, with the options for running it.
        key: digest of everything that determines the weights.
        folder: the folder of the weights; None for random ones.
        random_seed: of random weights, which stand for one checkpoint, whatever the run's seed.
        origin: the pretraining run.
    """

    name: str
    config: models.EncoderConfig
    tokenizer: Tokenizer
    key: str
    folder: epath.Path | None
    random_seed: int
    origin: Origin

    @property
    def pad_id(self) -> int:
        return self.tokenizer.pad_token_id

    @property
    def numerics(self) -> list[Any]:
        """The options of `config` that change what is computed from the same weights."""
        return [self.config.dtype, self.config.attention, self.config.attention_dropout]

    def load(
        self, folder: epath.Path | None, place: Callable[[str, Any], jax.Array]
    ) -> models.Encoder:
        """Loads the encoder with a finished phase's weights in `folder`; None: the pretrained ones.

        Args:
            place: `place(path, array)` puts each parameter on its devices as it is read.
        """
        folder = folder or self.folder
        if folder is not None:
            encoder = models.load(
                folder,
                dtype=self.config.dtype,
                remat=self.config.remat,
                attention=self.config.attention,
                put=lambda path, array: place(f"encoder/{path}", array),
            )
            return models.with_options(
                encoder,
                unroll=self.config.unroll,
                attention_dropout=self.config.attention_dropout,
            )
        make = jax.jit(lambda: models.Encoder(self.config, rngs=nnx.Rngs(self.random_seed)))
        graphdef, params = nnx.split(make())
        placed = jax.tree_util.tree_map_with_path(
            lambda path, array: place(f"encoder/{param_path(path)}", array), params
        )
        return nnx.merge(graphdef, placed)


def open_pretrained(config: ModelConfig, default_tokenizer: str = "") -> Pretrained:
    """Finds a model's weights and tokenizer and checks that they fit together.

    Args:
        default_tokenizer: folder or hub id, for random weights without a tokenizer of their own.

    Raises:
        ConfigError: unknown name, no tokenizer, or one that does not fit.
        WeightsError, DataError: a folder without usable weights, or a damaged file.
    """
    with _located("--config.model.name"):
        preset, folder = _preset(config.name), None
        if not config.random_init:
            folder = resolve_folder(config.name) if preset is None else preset.weights_folder()
        if folder is None:
            published = architecture_of(config.name)
        else:
            published = models.check(folder)
    tokenizer_name = _tokenizer_name(config, preset, default_tokenizer)
    tokenizer = load_tokenizer(tokenizer_name)
    with _located("--config.model"):
        if folder is None and preset is not None and preset.hub_id is None:  # never published
            published = models.preset(preset.name, max(tokenizer.get_vocab().values()) + 1).config
        architecture = _with_run_time_options(published, config)
    check_fits(
        tokenizer,
        vocab_size=architecture.vocab_size,
        pad_id=architecture.pad_id if architecture.kind.positions_after_pad else None,
        type_vocab_size=architecture.type_vocab_size,
        where=f"--config.model.tokenizer={tokenizer_name}",
    )
    if folder is None:
        key = digest("random", config.random_seed, published)
    else:
        key = models.weights_fingerprint(folder)
    recorded = _recorded(config.name, preset) if folder is None else read(folder)
    name, origin = _named(config, preset, recorded), _origin(config, preset, recorded)
    return Pretrained(name, architecture, tokenizer, key, folder, config.random_seed, origin)


def table_name(config: ModelConfig) -> str:
    """Returns the model's name in tables: its alias, or the last part of its folder or hub id.

    A folder that pretraining wrote has the name in its record. Without an alias `-random` follows
    where random weights stand in the place of trained ones, with their seed where that is not 0.

    Raises:
        ConfigError: neither a preset nor a folder or hub id.
    """
    preset = _preset(config.name)
    return _named(config, preset, None if config.alias else _recorded(config.name, preset))


def origin_of(config: ModelConfig) -> Origin:
    """Returns a model's pretraining run, as far as that is known without its weights.

    Raises:
        ConfigError: neither a preset nor a folder or hub id.
    """
    preset = _preset(config.name)
    return _origin(config, preset, _recorded(config.name, preset))


def _origin(config: ModelConfig, preset: models.Preset | None, recorded: Origin | None) -> Origin:
    if recorded is not None and not config.random_init:
        return recorded
    name = _named(config, preset, recorded)
    return Origin(name, _family(config, preset), name)


def _recorded(name: str, preset: models.Preset | None) -> Origin | None:
    """Returns the pretraining run that a folder's record names; None for what is no folder."""
    return read(name) if preset is None and is_folder(name) else None


def _named(config: ModelConfig, preset: models.Preset | None, recorded: Origin | None) -> str:
    """Returns the name in tables of a model whose record, if it has one, is read."""
    if config.alias:
        return config.alias
    name = config.name.rstrip("/") if preset is None else preset.name
    if recorded is not None:
        name = recorded.name
    name = os.path.basename(name if "://" in name else os.path.abspath(name))
    if config.random_init and config.random_seed:
        return f"{name}-random{config.random_seed}"
    has_weights = preset is None or preset.has_weights
    return f"{name}-random" if config.random_init and has_weights else name


def _family(config: ModelConfig, preset: models.Preset | None) -> str:
    """Returns the family of a model whose pretraining run is not recorded."""
    family = family_of(config.name) if preset is None else preset.family
    return f"{family}-random" if config.random_init and family != RANDOM else family


def architecture_of(name: str) -> models.EncoderConfig:
    """Returns the architecture of a folder, hub id or preset without its weights."""
    preset = _preset(name)
    return preset.config if preset else read_config(resolve_folder(name, weights=False))


def _preset(name: str) -> models.Preset | None:
    """Returns the preset of that name; None for a folder, or a hub id that no preset has."""
    try:
        return models.preset(name)
    except ConfigError as error:
        if "/" in name or is_folder(name):
            return None
        where = "--config.model.name"
        raise ConfigError(error.problem, where=where, remedy=error.remedy) from error


def _tokenizer_name(config: ModelConfig, preset: models.Preset | None, default: str) -> str:
    """Returns the configured tokenizer, else the model's own, else `default` (random weights)."""
    if preset is None:
        return config.tokenizer or config.name
    name = config.tokenizer or preset.tokenizer() or default
    if not name:
        raise ConfigError(
            f"`{config.name}` has random weights and no tokenizer of its own.",
            where="--config.model.tokenizer",
            remedy="name a tokenizer folder or hub id, for example FacebookAI/xlm-roberta-base",
        )
    return name


def _with_run_time_options(
    architecture: models.EncoderConfig, config: ModelConfig
) -> models.EncoderConfig:
    """Sets the configured options if this machine and the attention backend support them."""
    platform = jax.default_backend()
    check_platform(config.attention, platform)
    dropout, dtype = config.attention_dropout, config.dtype
    if dtype == "auto":
        dtype = "float32" if platform == "cpu" else "bfloat16"
    architecture = dataclasses.replace(
        architecture,
        dtype=dtype,
        remat=models.remat_on(platform) if config.remat == "auto" else config.remat,
        unroll=models.unroll_on(platform),
        attention=config.attention,
        attention_dropout=architecture.attention_dropout if dropout is None else dropout,
    )
    if config.attention != "xla" and architecture.attention_dropout:
        raise no_dropout(config.attention, architecture.attention_dropout)
    return architecture


@contextlib.contextmanager
def _located(where: str) -> Iterator[None]:
    """Adds the configuration field to an error that does not name its source."""
    try:
        yield
    except ConfigError as error:
        where, remedy = error.where or where, error.remedy or "use another value"
        raise ConfigError(error.problem, where=where, remedy=remedy) from error
