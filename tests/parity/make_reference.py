"""Writes tests/reference/*.npz: small transformers models, their inputs and what they compute.

    python tests/parity/make_reference.py

Needs torch (extra `parity`). One file a model kind: config.json as text, the weights under their
Hugging Face names, a padded batch, every hidden state, and the logits of every head. The plain
tests read them without torch; a parity test checks that they are what this file would write.
"""

from __future__ import annotations

import copy
import json
import pathlib

import numpy as np
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent.parent / "reference"
HEADS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForMaskedLM",
)
KINDS = {
    "xlm-roberta": transformers.XLMRobertaConfig,
    "xlm-roberta-xl": transformers.XLMRobertaXLConfig,
    "bert": transformers.BertConfig,
    "roberta": transformers.RobertaConfig,
}
STORED_KINDS = ("xlm-roberta", "xlm-roberta-xl", "bert")
SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}


def make_config(kind: str, **sizes) -> transformers.PreTrainedConfig:
    """A config of that kind with the published type vocabulary and LayerNorm eps."""
    types, eps = (2, 1e-12) if kind == "bert" else (1, 1e-5)
    return KINDS[kind](**{"type_vocab_size": types, "layer_norm_eps": eps, **sizes})


def model_class(kind: str, suffix: str) -> type[transformers.PreTrainedModel]:
    return getattr(transformers, KINDS[kind].__name__.removesuffix("Config") + suffix)


def make_model(kind: str, suffix: str, config, seed: int, scale: float):
    """A random model in eval mode, with no parameter left at 0 or 1 (biases, LayerNorms)."""
    torch.manual_seed(seed)
    config = copy.deepcopy(config)
    config.num_labels = 2 if suffix == "ForQuestionAnswering" else 3
    model = model_class(kind, suffix)._from_config(config, attn_implementation="eager").eval()
    randomise(model, scale)
    return model


@torch.no_grad()
def randomise(model: torch.nn.Module, scale: float) -> None:
    """Normal: matrices `scale`, embeddings 1, biases 0.1; LayerNorm scales 1 + 0.1 normal.

    Words that are a decoder too get `scale`: logits then range over a few units, as states do.
    """
    tied = "word_embeddings" if model.get_output_embeddings() is not None else "none"
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            parameter.normal_(0.0, 1.0 if "embeddings" in name and tied not in name else scale)
        else:
            is_scale = name.endswith("weight")
            parameter.normal_(1.0 if is_scale else 0.0, 0.1)


def make_inputs(config, rows: int, length: int, seed: int) -> dict[str, np.ndarray]:
    """A padded batch; the first row is full, the last one padded on the left."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((rows, length), np.int32)
    for row in range(rows):
        mask[row, : length if row == 0 else rng.integers(length // 3, length)] = 1
    mask[-1] = mask[-1][::-1]
    ids = np.where(mask, rng.integers(3, config.vocab_size, mask.shape), config.pad_token_id)
    types = rng.integers(0, config.type_vocab_size, mask.shape)
    return {
        "input_ids": ids.astype(np.int32),
        "attention_mask": mask,
        "token_type_ids": types.astype(np.int32),
    }


@torch.no_grad()
def run(model, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """All hidden states [L+1, B, T, D], and the logits where the model has a head.

    To a model for choices the rows are choices of one example; its logits are [B, 1].
    """
    tensors = {name: torch.from_numpy(array).long() for name, array in inputs.items()}
    if type(model).__name__.endswith("ForMultipleChoice"):
        output = model(**{n: t[None] for n, t in tensors.items()}, output_hidden_states=True)
        return torch.stack(output.hidden_states).numpy(), output.logits.numpy().T
    output = model(**tensors, output_hidden_states=True)
    hidden = torch.stack(output.hidden_states).numpy()
    if "logits" in output:
        return hidden, output.logits.numpy()
    if "start_logits" in output:
        return hidden, torch.stack([output.start_logits, output.end_logits], -1).numpy()
    return hidden, None


def make_reference(kind: str) -> dict[str, np.ndarray]:
    """What one reference file holds: float32 weights, and what they give in float64, rounded.

    In float32 the numbers would be those of one machine: on another PyTorch's own differ by 9e-6.
    """
    config = make_config(kind, **SMALL)
    inputs = make_inputs(config, rows=3, length=12, seed=1)
    models = {suffix: make_model(kind, suffix, config, 0, 0.3) for suffix in HEADS}
    encoder = models[HEADS[0]].base_model.state_dict()
    arrays = {f"inputs/{name}": array for name, array in inputs.items()}
    config_values = {"model_type": kind, **config.to_diff_dict()}
    del config_values["transformers_version"]
    arrays["config"] = np.array(json.dumps(config_values))
    for name, tensor in encoder.items():
        if not name.startswith("pooler."):
            arrays[f"encoder/{name}"] = tensor.numpy()
    for suffix, model in models.items():
        model.base_model.load_state_dict(encoder, strict=False)
        hidden, logits = run(copy.deepcopy(model).double(), inputs)
        arrays[f"logits/{suffix}"] = logits.astype(np.float32)
        for name, tensor in model.state_dict().items():
            base_name = name.removeprefix(f"{model.base_model_prefix}.")
            if f"encoder/{base_name}" not in arrays and _is_used(kind, suffix, base_name):
                arrays[f"{suffix}/{name}"] = tensor.numpy()
        arrays.setdefault("hidden_states", hidden.astype(np.float32))
    return arrays


def _is_used(kind: str, suffix: str, base_name: str) -> bool:
    """The pooler is the first layer of choices and of BERT's classification; else it is idle."""
    pooled = suffix == "ForMultipleChoice" or (kind == "bert" and suffix == HEADS[0])
    return pooled or not base_name.startswith("pooler.")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in STORED_KINDS:
        np.savez_compressed(FOLDER / f"{name}.npz", **make_reference(name))
