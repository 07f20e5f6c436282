"""Runs one library's exact search in a process of its own: see `retrieval.py`.

A library is imported where it is used, so that no process loads another side's library.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

import duel

CPUS = duel.limit_processors()

import numpy as np  # noqa: E402  (after the processors are limited)

Found = tuple[np.ndarray, np.ndarray]  # scores and indices [Q, k]
LIBRARIES = {"jax": "xt_jax.retrieval.topk", "product": "jax", "torch": "torch", "faiss": "faiss"}
TILES = (1024, 4096)  # numbers of queries per chunk to try with PyTorch; the faster one counts


class Searching:
    """A search over both arrays of a folder, [Q, D] and [N, D] of unit norm."""

    def start(self, folder: str, library: str, k: int, device: str = "cpu", **options: Any) -> dict:
        """Loads and compiles; returns the memory that this takes beside the inputs."""
        self.k = k
        self.queries, self.corpus = (
            np.load(Path(folder, f"{name}.npy")) for name in ("queries", "corpus")
        )
        importlib.import_module(LIBRARIES[library])
        before = duel.resident_bytes()
        duel.forget_peak()
        getattr(self, f"_{library}")(device, **options)
        _, indices = self.search()
        np.save(Path(folder, f"{library}.npy"), np.asarray(indices))
        return {"beside_inputs_mib": (duel.peak_bytes() - before) / 2**20}

    def run(self) -> duel.Measured:
        began = time.perf_counter()
        self.search()
        return {"seconds": time.perf_counter() - began}

    def _jax(self, device: str, block: int = 0, dtype: str = "float32") -> None:
        import jax
        import jax.numpy as jnp

        from xt_jax.retrieval.topk import cosine_topk

        options = {"block": block} if block else {}
        if device != "cpu":
            self.queries, self.corpus = (
                jax.device_put(jnp.asarray(x, dtype)) for x in (self.queries, self.corpus)
            )
        self.search = lambda: cosine_topk(self.queries, self.corpus, self.k, **options)
        self.search()

    def _product(self, device: str, dtype: str = "float32") -> None:
        """Prepares JAX's plain product of all tiles with all blocks, nothing kept: the ceiling."""
        import jax
        import jax.numpy as jnp

        @jax.jit
        def product(a: jax.Array, b: jax.Array) -> jax.Array:
            return jax.lax.dot_general(
                a,
                b,
                (((1,), (1,)), ((), ())),
                precision="highest",
                preferred_element_type=jnp.float32,
            )

        if device != "cpu":
            self.queries, self.corpus = (
                jax.device_put(jnp.asarray(x, dtype)) for x in (self.queries, self.corpus)
            )

        def sweep(tile: int, block: int) -> Found:
            for first in range(0, len(self.queries), tile):
                for start in range(0, len(self.corpus), block):
                    done = product(
                        self.queries[first : first + tile], self.corpus[start : start + block]
                    )
                done.block_until_ready()
            return np.empty(0), np.empty(0)

        shapes = [(tile, block) for tile in (512, 1024, 4096) for block in (4096, 8192)]
        self._fastest([lambda shape=shape: sweep(*shape) for shape in shapes])

    def _torch(self, device: str, dtype: str = "float32") -> None:
        """Prepares PyTorch's chunked product and `topk`."""
        import torch

        torch.set_num_threads(CPUS)
        queries, corpus = (
            torch.from_numpy(x).to(device, getattr(torch, dtype))
            for x in (self.queries, self.corpus)
        )

        def sweep(tile: int) -> Found:
            best = [
                torch.topk(queries[first : first + tile] @ corpus.T, self.k)
                for first in range(0, len(queries), tile)
            ]
            scores, indices = (torch.cat(parts).cpu() for parts in zip(*best, strict=True))
            return scores.float().numpy(), indices.numpy()

        with torch.inference_mode():
            self._fastest([lambda tile=tile: sweep(tile) for tile in TILES])

    def _faiss(self, device: str) -> None:
        import faiss

        faiss.omp_set_num_threads(CPUS)

        def sweep() -> Found:
            index = faiss.IndexFlatIP(self.corpus.shape[1])
            index.add(self.corpus)
            return index.search(self.queries, self.k)

        self._fastest([sweep])

    def _fastest(self, searches: list) -> None:
        seconds = []
        for search in searches:
            search()
            began = time.perf_counter()
            search()
            seconds.append(time.perf_counter() - began)
        self.search = searches[int(np.argmin(seconds))]


if __name__ == "__main__":
    duel.serve(Searching())
