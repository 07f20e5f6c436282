"""Keeps the models of a workdir apart: one name in tables stands for the weights of one model."""

from __future__ import annotations

from etils import epath

from xt_jax.files import atomic_write_text


def claim(workdir: epath.Path, name: str, key: str, source: str) -> str:
    """Records whose name it is, if nobody has it yet; returns whose it is already, or "".

    Args:
        key: digest of the model's weights.
        source: where they come from, for the message to the next who wants the name.
    """
    file = workdir / "models" / f"{name}.txt"
    if not file.exists():
        atomic_write_text(file, f"{key}\n{source}\n")
        return ""
    known, _, owner = file.read_bytes().decode(errors="replace").partition("\n")
    return "" if known == key else owner.strip() or str(file)
