"""The notebook runs from its first cell to its last, here at mini size on a CPU."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT

SMALL = {
    '"mini-48", 1, 6000': '"mini-32", 1, 200',
    '["xnli", "panx", "tatoeba"]': '["panx", "tatoeba"]',
}


def read(folder: Path):
    nbformat = pytest.importorskip("nbformat")
    return nbformat.read(folder / "tpu" / "colab.ipynb", as_version=4)


def test_the_notebook_runs_as_it_stands(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    for name in ("run.py", "configs", "xt_jax"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "tpu").mkdir()
    shutil.copy(ROOT / "tpu" / "colab.ipynb", tmp_path / "tpu")
    notebook = read(tmp_path)
    for old, new in SMALL.items():
        (cell,) = [cell for cell in notebook.cells if old in cell.source]
        cell.source = cell.source.replace(old, new)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    resources = {"metadata": {"path": str(tmp_path / "tpu")}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    assert (tmp_path / "runs" / "quickstart" / "results.jsonl").exists()
    assert (tmp_path / "report" / "report.html").exists()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") + str(output.get("data", "")) for output in outputs)
    assert "mnli - direct" in text
    assert "image/svg+xml" in text
    assert "Traceback" not in text
    assert "error:" not in text


def test_no_output_is_kept_in_the_notebook():
    assert not any(cell.get("outputs") for cell in read(ROOT).cells)
