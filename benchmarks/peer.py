"""The PyTorch side of the benchmarks: the loop of `transformers.Trainer` at its best settings.

Dynamic padding to the longest row of a batch, SDPA attention, fused AdamW, gradients set to None,
all processors; on a GPU bf16 autocast, TF32, rows padded to multiples of 8, pinned memory and
loader processes. Started by `duel.Worker`; answers calls.
"""

from __future__ import annotations

import duel

CPUS = duel.limit_processors()

import dataclasses  # noqa: E402
import math  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from torch.utils.data import DataLoader, Sampler, SequentialSampler  # noqa: E402
from transformers.trainer_pt_utils import LengthGroupedSampler  # noqa: E402
from work import TASKS, Ragged, Work  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODELS = {
    "pairs": transformers.AutoModelForSequenceClassification,
    "spans": transformers.AutoModelForQuestionAnswering,
}
NAMES = {"label": "labels", "start": "start_positions", "end": "end_positions"}
GPU_PRECISION = "high" if DEVICE == "cuda" else "highest"  # high: TF32
LOADERS = 4  # processes that make batches for a GPU


class Peer:
    """The service that `duel.Worker` calls."""

    def start(self, folder: str, **variant: Any) -> dict[str, Any]:
        self.training = Training(Work.load(folder), **variant)
        return {
            "compile_seconds": self.training.compile_seconds,
            "first_loss": self.training.first_loss,
        }

    def train(self, steps: int) -> duel.Measured:
        return self.training.run(steps)

    def start_prediction(self, folder: str, splits: list[str], **variant: Any) -> dict[str, Any]:
        self.prediction = Prediction(Work.load(folder), splits, **variant)
        return {"batch_size": self.prediction.batch_size}

    def predict(self, save: str = "") -> duel.Measured:
        return self.prediction.run(save)

    def matmul_tflops(self, shape: list[int], dtype: str) -> float:
        return matmul_tflops(shape, dtype)

    def device(self) -> dict[str, Any]:
        name = torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu"
        return {"platform": DEVICE, "kind": name, "processors": torch.get_num_threads()}


class Training:
    """A run of Trainer's loop, some steps at a time.

    Args:
        batch_size: examples per step.
        first_examples: the examples whose loss is computed before the first step.
        grouped: batches of similar lengths (Trainer's group_by_length).
        compiled: torch.compile(dynamic=True).
    """

    def __init__(
        self,
        work: Work,
        *,
        batch_size: int,
        first_examples: list[int],
        grouped: bool = False,
        compiled: bool = False,
    ):
        self.work, self.batch_size = work, batch_size
        torch.manual_seed(work.seed)
        self.features = Ragged.load(work.folder, "train")
        self.rows = self.features.rows()
        self.module = load_model(work)
        self.first_loss = self._loss(first_examples)
        self.module.train()
        self.optimizer, self.schedule = optimizer_and_schedule(self.module, work)
        self.model = torch.compile(self.module, dynamic=True) if compiled else self.module
        self.batches = self._batches(grouped)
        began = time.perf_counter()
        self.run(8 if compiled else 1)  # the first steps compile new shapes
        self.compile_seconds = time.perf_counter() - began if compiled else 0.0

    def _batches(self, grouped: bool) -> Iterator[dict[str, torch.Tensor]]:
        sampler: Sampler
        if grouped:
            lengths = self.features.lengths.tolist()
            sampler = LengthGroupedSampler(self.batch_size, lengths=lengths)
        else:
            sampler = torch.utils.data.RandomSampler(self.rows)
        while True:
            yield from loader(self.rows, self.work, self.batch_size, sampler)

    def _loss(self, examples: list[int]) -> float:
        """Returns the mean loss without dropout, in float32 and full precision.

        For spans each example is computed alone, as the span loss of transformers counts padding
        among the possible answers.
        """
        rows = [self.rows[i] for i in examples]
        batches = [[row] for row in rows] if TASKS[self.work.task] == "spans" else [rows]
        self.module.eval()
        torch.set_float32_matmul_precision("highest")
        with torch.no_grad():
            losses = [
                float(self.module(**to_device(collate(batch, self.work.pad_id))).loss)
                for batch in batches
            ]
        torch.set_float32_matmul_precision(GPU_PRECISION)
        return float(np.mean(losses))

    def run(self, steps: int) -> duel.Measured:
        forget_peak()
        examples, tokens, slots, waited = 0, 0, 0, 0.0
        began = time.perf_counter()
        for _ in range(steps):
            requested = time.perf_counter()
            batch = next(self.batches)
            waited += time.perf_counter() - requested
            examples += len(batch["input_ids"])
            slots += batch["input_ids"].numel()
            tokens += int(batch["attention_mask"].sum())
            loss = self._step(to_device(batch))
        value = float(loss)
        seconds = time.perf_counter() - began
        return {
            "seconds": seconds,
            "wait_seconds": waited,
            "loss": value,
            "examples": examples,
            "real_tokens": tokens,
            "slots": slots,
            "peak_bytes": peak_bytes(),
        }

    def _step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        with autocast(self.work.dtype):
            loss = self.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.work.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()


class Prediction:
    """Predicts all sets of features one after the other, as Trainer.predict does.

    Args:
        batch_size: rows per batch.
        by_length: sorts by length instead of keeping the data's order.
        exact: computes in full float32, whatever `work` says.
    """

    def __init__(
        self,
        work: Work,
        splits: list[str],
        *,
        batch_size: int,
        by_length: bool = False,
        exact: bool = False,
    ):
        self.names, self.batch_size = splits, batch_size
        self.work = dataclasses.replace(work, dtype="float32") if exact else work
        torch.set_float32_matmul_precision("highest" if exact else GPU_PRECISION)
        self.splits = [Ragged.load(work.folder, name) for name in splits]
        self.rows = [features.rows() for features in self.splits]
        self.orders = [order_of(features, by_length) for features in self.splits]
        self.module = load_model(work).eval()

    def run(self, save: str) -> duel.Measured:
        forget_peak()
        slots = 0
        labels: dict[str, np.ndarray] = {}
        began = time.perf_counter()
        for name, rows, order in zip(self.names, self.rows, self.orders, strict=True):
            ordered = [rows[i] for i in order]
            parts = []
            sampler = SequentialSampler(ordered)
            for batch in loader(ordered, self.work, self.batch_size, sampler):
                slots += batch["input_ids"].numel()
                batch.pop("labels")
                with torch.inference_mode(), autocast(self.work.dtype):
                    parts.append(self.module(**to_device(batch)).logits.argmax(-1))
            labels[name] = np.empty(len(rows), np.int64)
            labels[name][order] = torch.cat(parts).cpu().numpy()
        seconds = time.perf_counter() - began
        if save:
            np.savez(save, allow_pickle=False, **labels)
        return {
            "seconds": seconds,
            "examples": sum(map(len, self.splits)),
            "real_tokens": sum(int(features.lengths.sum()) for features in self.splits),
            "slots": slots,
            "peak_bytes": peak_bytes(),
        }


def load_model(work: Work) -> Any:
    model = MODELS[TASKS[work.task]].from_pretrained(work.model, attn_implementation="sdpa")
    return model.to(DEVICE)


def optimizer_and_schedule(module: Any, work: Work) -> tuple[Any, Any]:
    """Returns Trainer's: no decay of biases and LayerNorms, linear warm-up and decay."""
    plain = [n.endswith("bias") or "LayerNorm" in n for n, _ in module.named_parameters()]
    parameters = list(module.parameters())
    groups = [
        {
            "params": [p for p, is_plain in zip(parameters, plain, strict=True) if not is_plain],
            "weight_decay": work.weight_decay,
        },
        {
            "params": [p for p, is_plain in zip(parameters, plain, strict=True) if is_plain],
            "weight_decay": 0.0,
        },
    ]
    optimizer = torch.optim.AdamW(groups, lr=work.learning_rate, eps=1e-8, fused=True)
    warmup = math.ceil(work.warmup_ratio * work.steps)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, work.steps)
    return optimizer, schedule


def loader(rows: list, work: Work, batch_size: int, sampler: Sampler) -> DataLoader:
    gpu, pad_id = DEVICE == "cuda", work.pad_id
    return DataLoader(
        rows,
        batch_size=batch_size,
        sampler=sampler,
        drop_last=False,
        collate_fn=lambda batch: collate(batch, pad_id),
        num_workers=LOADERS if gpu else 0,
        pin_memory=gpu,
        prefetch_factor=4 if gpu else None,
    )


def collate(rows: list[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Pads rows to the longest one, on a GPU to a multiple of 8."""
    multiple = 8 if DEVICE == "cuda" else 1
    lengths = [len(row["input_ids"]) for row in rows]
    length = -(-max(lengths) // multiple) * multiple
    names = [name for name in ("input_ids", "token_type_ids") if name in rows[0]]
    padded = {name: np.zeros((len(rows), length), np.int64) for name in [*names, "attention_mask"]}
    padded["input_ids"][:] = pad_id
    for i, (row, n) in enumerate(zip(rows, lengths, strict=True)):
        for name in names:
            padded[name][i, :n] = row[name]
        padded["attention_mask"][i, :n] = 1
    batch = {name: torch.from_numpy(array) for name, array in padded.items()}
    for our_name, name in NAMES.items():
        if our_name in rows[0]:
            batch[name] = torch.tensor([row[our_name] for row in rows])
    return batch


def order_of(features: Ragged, by_length: bool) -> np.ndarray:
    if by_length:
        return np.argsort(-features.lengths, kind="stable")
    return np.arange(len(features))


def to_device(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if DEVICE == "cpu":
        return batch
    return {name: array.to(DEVICE, non_blocking=True) for name, array in batch.items()}


def autocast(dtype: str) -> Any:
    return torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=dtype == "bfloat16")


def matmul_tflops(shape: list[int], dtype: str, repeats: int = 10) -> float:
    """Measures the best rate of a product [m, k] x [k, n] in TFLOP/s."""
    m, k, n = shape
    a, b = (
        torch.ones(size, dtype=getattr(torch, dtype), device=DEVICE) for size in ((m, k), (k, n))
    )
    best = math.inf
    for _ in range(repeats + 1):
        _synchronize()
        began = time.perf_counter()
        a @ b
        _synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * m * k * n / best / 1e12


def forget_peak() -> None:
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    duel.forget_peak()


def peak_bytes() -> int:
    """Returns the peak memory of the device, or on a CPU of this process."""
    return torch.cuda.max_memory_allocated() if DEVICE == "cuda" else duel.peak_bytes()


def _synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    torch.set_num_threads(CPUS)
    torch.set_float32_matmul_precision(GPU_PRECISION)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    duel.serve(Peer())
