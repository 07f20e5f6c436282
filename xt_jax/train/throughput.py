"""Measures how fast a phase runs: tokens/s, fill, and MFU where the chip's peak is known."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import jax
import numpy as np

from xt_jax.model.config import EncoderConfig

# Dense bf16 peaks in TFLOP/s by `device_kind`, from the makers' data sheets.
PEAK_TFLOPS = {
    "TPU v4": 275,
    "TPU v5 lite": 197,
    "TPU v5p": 459,
    "TPU v6 lite": 918,
    "NVIDIA A100-SXM4-80GB": 312,
    "NVIDIA H100 80GB HBM3": 989,
    "NVIDIA H200": 989,
}


def train_flops(config: EncoderConfig, rows: int, length: int) -> float:
    """Returns the FLOPs of a step's forward and backward products in the layers, with padding."""
    d, f = config.hidden_size, config.intermediate_size
    per_token = 2 * (4 * d * d + 2 * d * f) + 4 * length * d
    return 3.0 * config.num_layers * per_token * rows * length


class Meter:
    """Measures training rates between two calls of `read`.

    Args:
        real, slots: [steps] tokens of each step without and with padding.
        flops: [steps].
    """

    def __init__(self, real: np.ndarray, slots: np.ndarray, flops: np.ndarray):
        self._real, self._slots, self._flops = real, slots, flops
        self.start(0)

    def start(self, step: int) -> None:
        """Begins counting at `step`, for example after a compilation."""
        self._step, self._time, self._waited = step, time.perf_counter(), 0.0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time of the block as waiting for data."""
        began = time.perf_counter()
        yield
        self._waited += time.perf_counter() - began

    def flops(self, begin: int, end: int) -> float:
        """Returns the FLOPs of the steps from `begin` to before `end`."""
        return float(self._flops[begin:end].sum())

    def read(self, step: int) -> dict[str, float]:
        """Returns the rates since the last call: step_seconds, tokens/s, fill, TFLOP/s and MFU.

        To be called when the device has made the step. `data_wait` is the share of the time in
        which the host waited for the next batch; the device has work meanwhile unless the wait is
        longer than a step. Empty if no step was made.
        """
        if step == self._step:
            return {}
        seconds = max(time.perf_counter() - self._time, 1e-9)
        made = slice(self._step, step)
        real, slots = float(self._real[made].sum()), float(self._slots[made].sum())
        rates = {
            "step_seconds": seconds / (step - self._step),
            "tokens_per_second": slots / seconds,
            "real_tokens_per_second": real / seconds,
            "fill": real / slots,
            "data_wait": self._waited / seconds,
        }
        rates["tflops"] = self.flops(self._step, step) / seconds / 1e12
        peak = PEAK_TFLOPS.get(jax.devices()[0].device_kind)
        if peak:
            rates["mfu"] = rates["tflops"] / (peak * jax.device_count())
        self.start(step)
        return {name: float(np.round(value, 6)) for name, value in rates.items()}
