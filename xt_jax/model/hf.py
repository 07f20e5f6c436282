"""Loads encoders and models from Hugging Face folders and saves them as such."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import reprlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath
from flax import nnx

from xt_jax import hosts
from xt_jax.errors import ConfigError, WeightsError
from xt_jax.model import hf_table
from xt_jax.model.config import EncoderConfig, check_rate
from xt_jax.model.encoder import Encoder, abstract_encoder, param_path
from xt_jax.model.heads import (
    ChoiceHead,
    Head,
    MlmHead,
    Model,
    SpanHead,
    head_type_of,
    num_labels,
)
from xt_jax.model.hf_files import (
    CONFIG,
    PUBLISHED_CONFIG,
    SAFETENSORS,
    Tensor,
    listed,
    open_weights,
    read_json,
    replace_folder,
    resolve_folder,
    write_safetensors,
)

Put = Callable[[str, np.ndarray], jax.Array]


def load(
    path_or_hub_id: str | os.PathLike,
    *,
    dtype: str = "float32",
    remat: str = "none",
    attention: str = "xla",
    put: Put | None = None,
) -> Encoder:
    """Loads the encoder of a Hugging Face folder or hub repository, without heads and pooler.

    Parameters become float32 whatever the file holds. They are built one after the other from
    the mapped file, so the host needs the memory of one of them beside the result.

    Args:
        path_or_hub_id: folder (local or `gs://`) with config.json and safetensors, whole or
            sharded, or a `pytorch_model.bin` if torch is installed; or a hub id.
        dtype: of the computation, float32 or bfloat16.
        remat: gradient checkpointing, a key of `xt_jax.model.config.REMAT_POLICIES`.
        attention: xla, splash (TPU) or cudnn (NVIDIA GPU).
        put: places a finished parameter, `put(path, array) -> jax.Array`, for example sharded;
            the default is the default device.

    Raises:
        ConfigError: an architecture that is not implemented.
        WeightsError: no such folder or file, or tensors that do not fit (all are listed).
    """
    folder = resolve_folder(path_or_hub_id)
    config = read_config(folder, dtype=dtype, remat=remat, attention=attention)
    with open_weights(folder) as tensors:
        return _encoder_mapping(abstract_encoder(config)).read(tensors, folder, put)


def check(folder: str | os.PathLike) -> EncoderConfig:
    """Checks that the tensors of a folder have the names, shapes and types of its config.json.

    Returns:
        The architecture in config.json.

    Raises:
        ConfigError, WeightsError: what `load` would raise.
    """
    folder = resolve_folder(folder)
    config = read_config(folder)
    with open_weights(folder) as tensors:
        _encoder_mapping(abstract_encoder(config)).match(tensors, folder)
    return config


def load_model(
    path_or_hub_id: str | os.PathLike,
    *,
    dtype: str = "float32",
    remat: str = "none",
    attention: str = "xla",
    put: Put | None = None,
) -> tuple[Model, tuple[str, ...]]:
    """Loads encoder, head and label names from a folder that `save` wrote with a head.

    Arguments and errors as in `load`; a folder without one of our heads is a WeightsError too.

    Returns:
        The model and its labels in the order of the logits; () for spans and MLM, and for choices
        that the folder does not name.
    """
    folder = resolve_folder(path_or_hub_id)
    values = read_json(folder / CONFIG)
    config = read_config(folder, dtype=dtype, remat=remat, attention=attention)
    classes = values.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    head_type = head_type_of(first) if isinstance(first, str) else None
    if head_type is None:
        raise WeightsError(
            f"architectures={reprlib.repr(classes)} is not one with a head for pairs, choices, "
            "tags, spans or masked tokens",
            where=folder / CONFIG,
            remedy="use xt_jax.model.load for the encoder alone",
        )
    labels = _labels(values, folder, head_type)
    rate = values.get("classifier_dropout")
    rate = config.dropout if rate is None else rate
    with _located(folder / CONFIG):
        check_rate("classifier_dropout", rate)
    abstract = jax.eval_shape(
        lambda: Model(
            Encoder(config, rngs=nnx.Rngs(0)), head_type(config, len(labels), nnx.Rngs(0), rate)
        )
    )
    if head_type is MlmHead:
        _check_tied(values, folder)
    with open_weights(folder) as tensors:
        return _model_mapping(abstract, config).read(tensors, folder, put), labels


def load_mlm_head(path_or_hub_id: str | os.PathLike, *, put: Put | None = None) -> MlmHead | None:
    """Loads the MLM head that was published with an encoder; None where the folder has none.

    Arguments and errors as in `load`; `put` gets paths within the head.
    """
    folder = resolve_folder(path_or_hub_id)
    config = read_config(folder)
    entries = MlmHead.entries(config)
    names = {entry.hf for entry in entries}
    abstract = jax.eval_shape(lambda: MlmHead(config, 0, nnx.Rngs(0)))
    with open_weights(folder) as tensors:
        of_head = {n: t for n, t in tensors.items() if hf_table.canonical_name(n) in names}
        if not of_head:
            return None
        _check_tied(read_json(folder / CONFIG), folder)
        return _Mapping(abstract, entries, config).read(of_head, folder, put)


def save(
    encoder_or_model: Encoder | Model,
    folder: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    dtype: str = "float32",
) -> None:
    """Writes config.json and model.safetensors in the form that `transformers` opens.

    The class follows from the head: ...Model, ...ForSequenceClassification, ...ForMultipleChoice,
    ...ForTokenClassification, ...ForQuestionAnswering or ...ForMaskedLM. The folder appears
    complete or not at all; one of the same name is replaced. Parameters may be sharded: they are
    fetched layer by layer. Of several processes all must call this, and the first writes.

    Args:
        encoder_or_model: an `Encoder`, or a `Model` with one of our heads.
        folder: where to write.
        labels: names of the logits or choices, for `id2label`; None writes LABEL_0, LABEL_1, ...
            and no names of choices.
        dtype: of the file, float32 or float16; config.json says float32 in both cases, so that
            `transformers` too computes in it.

    Raises:
        WeightsError: a number that float16 cannot hold.
        ConfigError: a number of labels that is not the head's, or labels without a head that
            has some.
    """
    if isinstance(encoder_or_model, Model):
        head, config = encoder_or_model.head, encoder_or_model.encoder.config
        mapping = _model_mapping(encoder_or_model, config)
    else:
        head, config = None, encoder_or_model.config
        mapping = _encoder_mapping(encoder_or_model)
    values = {
        "architectures": [
            hf_table.architecture(config, "Model" if head is None else head.hf_class)
        ],
        **config.to_hf(),
        "dtype": "float32",
        **_head_values(head, labels),
    }

    def file_name(tensor: str) -> str:
        return tensor if head is None else hf_table.full_name(tensor, config)

    shapes = {file_name(name): shape for name, shape in mapping.shapes().items()}
    tensors = ((file_name(name), array) for name, array in mapping.tensors())
    if not hosts.is_first():
        collections.deque(tensors, maxlen=0)  # takes part in fetching them
        return
    with replace_folder(epath.Path(folder)) as temporary:
        (temporary / CONFIG).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
        write_safetensors(temporary / SAFETENSORS, shapes, tensors, dtype)


def read_config(folder: epath.Path, **run_time: str) -> EncoderConfig:
    """Reads the architecture in a folder's config.json; `run_time` as in `EncoderConfig.from_hf`.

    Raises:
        ConfigError: an architecture that is not implemented, or a value that cannot be.
        WeightsError, DataError: no such file, or one that is not a JSON object.
    """
    with _located(folder / CONFIG):
        return EncoderConfig.from_hf(read_json(folder / CONFIG), **run_time)


@contextlib.contextmanager
def _located(path: epath.Path) -> Iterator[None]:
    """Adds the file, and what to do, to an error that does not name them."""
    try:
        yield
    except ConfigError as error:
        where, remedy = error.where or path, error.remedy or PUBLISHED_CONFIG
        raise ConfigError(error.problem, where=where, remedy=remedy) from error


def _check_tied(values: dict[str, Any], folder: epath.Path) -> None:
    tied = values.get("tie_word_embeddings", True)
    if tied not in (True, None):
        raise ConfigError(
            f"tie_word_embeddings={reprlib.repr(tied)} is not implemented",
            where=folder / CONFIG,
            remedy="use a model whose MLM head shares the word embeddings",
        )


def _labels(values: dict[str, Any], folder: epath.Path, head_type: type[Head]) -> tuple[str, ...]:
    if head_type in (SpanHead, MlmHead) or (head_type is ChoiceHead and "id2label" not in values):
        return ()
    names = values.get("id2label")
    labels = [names.get(str(i)) for i in range(len(names))] if isinstance(names, dict) else []
    if not labels or not all(isinstance(label, str) for label in labels):
        problem = f"id2label must name 0, 1, 2, ..., not {reprlib.repr(names)}"
        raise WeightsError(problem, where=folder / CONFIG, remedy=PUBLISHED_CONFIG)
    return tuple(map(str, labels))


def _head_values(head: Head | None, labels: Sequence[str] | None) -> dict[str, Any]:
    if head is None or isinstance(head, MlmHead):
        if labels:
            raise ConfigError("labels were given for an encoder without a head that has labels")
        return {}
    rate = {"classifier_dropout": getattr(head, "dropout", None)}
    if isinstance(head, ChoiceHead):
        return rate | (_label_values(labels) if labels else {})
    n = num_labels(head)
    labels = [f"LABEL_{i}" for i in range(n)] if labels is None else list(labels)
    if len(labels) != n or len(set(labels)) != n:
        raise ConfigError(f"the head has {n} logits, the labels are {labels}", where="labels")
    return rate | _label_values(labels)


def _label_values(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }


class _Mapping(NamedTuple):
    """Maps the parameters of a module, real or abstract, to the tensors of a file."""

    module: Any
    entries: Sequence[hf_table.Entry]
    config: EncoderConfig

    def params(self) -> dict[str, Any]:
        """Returns the parameters by path."""
        leaves = jax.tree_util.tree_leaves_with_path(nnx.state(self.module))
        return {param_path(path): leaf for path, leaf in leaves}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shapes of the tensors by canonical name."""
        params, shapes = self.params(), {}
        for entry in self.entries:
            shape = params[entry.path].shape[1 if entry.stacked else 0 :]
            for name in entry.tensors(self.config.num_layers):
                shapes[name] = shape[::-1] if entry.transposed else shape
        return shapes

    def tensors(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (canonical name, tensor) in the order of `shapes`, fetching one at a time."""
        params = self.params()
        for entry in self.entries:
            param = params[entry.path]
            for layer, name in enumerate(entry.tensors(self.config.num_layers)):
                array = np.asarray(hosts.get(param[layer] if entry.stacked else param))
                yield name, array.T if entry.transposed else array

    def read(self, tensors: dict[str, Tensor], folder: epath.Path, put: Put | None) -> Any:
        """Returns the module with the parameters in `tensors`, which must match it exactly."""
        put = put or (lambda path, array: jax.device_put(array))
        by_path = {entry.path: entry for entry in self.entries}
        by_name = self.match(tensors, folder)
        graphdef, state = nnx.split(self.module)

        def read_one(key_path, leaf) -> jax.Array:
            entry = by_path[param_path(key_path)]
            parts = [by_name[name] for name in entry.tensors(self.config.num_layers)]
            return put(entry.path, _read_param(entry, parts, leaf.shape))

        return nnx.merge(graphdef, jax.tree_util.tree_map_with_path(read_one, state))

    def match(self, tensors: dict[str, Tensor], folder: epath.Path) -> dict[str, Tensor]:
        """Returns the tensors by canonical name if they are exactly those of the module.

        Raises:
            WeightsError: lists everything missing, unknown, repeated or of another shape or type.
        """
        expected, with_head = self.shapes(), not isinstance(self.module, Encoder)
        by_name: dict[str, Tensor] = {}
        faults = []
        for file_name, tensor in tensors.items():
            name = hf_table.canonical_name(file_name)
            if name not in expected:
                if not hf_table.is_dropped(name, with_head=with_head):
                    faults.append(f"unknown: {file_name} {tensor.shape}")
            elif name in by_name:
                faults.append(f"repeated under another prefix: {file_name}")
            else:
                by_name[name] = tensor
                if tensor.shape != expected[name]:
                    faults.append(f"wrong shape: {file_name} {tensor.shape}, not {expected[name]}")
                elif not tensor.is_float:
                    faults.append(f"wrong type: {file_name} {tensor.dtype}, not a float")
        faults += [f"missing: {name} {expected[name]}" for name in expected if name not in by_name]
        if faults:
            pre_norm = any("self_attn_layer_norm" in name for name in tensors)
            remedy = "check that config.json belongs to these weights"
            if pre_norm and not self.config.pre_norm:
                remedy = "these are pre-LN weights: set model_type to xlm-roberta-xl in config.json"
            raise WeightsError(
                f"{len(faults)} tensors do not fit the {self.config.model_type} model of "
                "config.json:\n    " + listed(faults, "\n    "),
                where=folder,
                remedy=remedy,
            )
        return by_name


def _encoder_mapping(encoder: Encoder) -> _Mapping:
    return _Mapping(encoder, hf_table.encoder_entries(encoder.config), encoder.config)


def _model_mapping(model: Model, config: EncoderConfig) -> _Mapping:
    return _Mapping(model, hf_table.model_entries(config, model.head.entries(config)), config)


def _read_param(entry: hf_table.Entry, parts: list[Tensor], shape: tuple[int, ...]) -> np.ndarray:
    """Reads one parameter in float32 from its tensors in the file: one, or one for each layer."""

    def read(part: Tensor) -> np.ndarray:
        return part.read().T if entry.transposed else part.read()

    if not entry.stacked:
        return np.asarray(read(parts[0]), np.float32)
    array = np.empty(shape, np.float32)
    for row, part in zip(array, parts, strict=True):
        row[...] = read(part)
    return array
