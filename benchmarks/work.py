"""The inputs that both sides share: tokenised examples and initial weights in one folder.

This module imports only numpy, so that the PyTorch side does not load JAX.

Legend: N features (tokenised examples), D hidden size.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

TASKS = {"mnli": "pairs", "squad": "spans", "xnli": "pairs"}  # their families


@dataclass(frozen=True)
class Work:
    """What is trained or predicted, as both sides read it.

    Attributes:
        folder: holds `model/` (a Hugging Face folder with head) and a file per set of features.
        task: a key of TASKS.
        dtype: float32, or bfloat16 (PyTorch: autocast).
        batch_size: examples per step.
        tokens_per_step: a token budget in place of the batch size; 0: none.
        steps: the number of steps of the whole schedule.
    """

    folder: str
    task: str
    dtype: str = "float32"
    batch_size: int = 32
    tokens_per_step: int = 0
    steps: int = 100
    learning_rate: float = 1e-5
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0

    def save(self) -> None:
        Path(self.folder, "work.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: str) -> Work:
        return cls(**json.loads(Path(folder, "work.json").read_text()))

    @property
    def model(self) -> str:
        return str(Path(self.folder, "model"))

    @property
    def pad_id(self) -> int:
        return json.loads(Path(self.model, "config.json").read_text())["pad_token_id"]


@dataclass(frozen=True)
class Ragged:
    """Features in numpy alone.

    Attributes:
        lengths: [N] number of tokens of each feature.
        tokens: [sum(lengths)] arrays by name, `input_ids` always.
        fields: [N] arrays by name.
    """

    lengths: np.ndarray
    tokens: dict[str, np.ndarray]
    fields: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.lengths)

    def save(self, folder: str, name: str) -> None:
        np.savez(
            Path(folder, f"{name}.npz"),
            allow_pickle=False,
            lengths=self.lengths,
            **{f"tokens.{key}": array for key, array in self.tokens.items()},
            **{f"fields.{key}": array for key, array in self.fields.items()},
        )

    @classmethod
    def load(cls, folder: str, name: str) -> Ragged:
        with np.load(Path(folder, f"{name}.npz")) as arrays:
            parts: dict[str, dict[str, np.ndarray]] = {"tokens": {}, "fields": {}}
            for key in arrays.files:
                if key != "lengths":
                    part, column = key.split(".", 1)
                    parts[part][column] = arrays[key]
            return cls(arrays["lengths"], parts["tokens"], parts["fields"])

    def rows(self) -> list[dict[str, Any]]:
        """Returns one record per feature, as `datasets` would give it."""
        ends = np.cumsum(self.lengths)
        split = {name: np.split(array, ends[:-1]) for name, array in self.tokens.items()}
        return [
            {
                **{name: parts[i].tolist() for name, parts in split.items()},
                **{name: int(array[i]) for name, array in self.fields.items()},
            }
            for i in range(len(self))
        ]


def padded_slots(
    lengths: np.ndarray, batch_size: int, multiple: int = 1, orders: int = 20
) -> float:
    """Returns slots per token where random batches are padded, averaged over `orders`."""
    slots = 0
    for order in range(orders):
        shuffled = np.random.default_rng(order).permutation(lengths)
        batches = [shuffled[i : i + batch_size] for i in range(0, len(shuffled), batch_size)]
        slots += sum(-(-int(batch.max()) // multiple) * multiple * len(batch) for batch in batches)
    return slots / (orders * int(lengths.sum()))
