"""The notebook runs from its first cell to its last, here at mini size on a CPU."""

from __future__ import annotations

import glob
import os
import shutil
import sys
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


@pytest.mark.slow
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


class Shell:
    """Records what a cell asks of IPython instead of doing it."""

    def __init__(self, folder: Path, output: tuple[str, ...]):
        self.folder, self.output, self.commands = folder, output, []
        self.names = {"get_ipython": lambda: self}

    def system(self, command: str) -> None:
        command = command.format(**self.names)
        self.commands.append(command)
        if "git clone" in command and "nowhere" not in command:
            (self.folder / "xt_jax").mkdir()
            (self.folder / "xt_jax" / "run.py").touch()

    def getoutput(self, command: str) -> list[str]:
        return [*self.output]

    def run_line_magic(self, name: str, line: str) -> None:
        self.commands.append(f"{name} {line}")


@pytest.fixture
def cell(tmp_path, monkeypatch):
    """Runs a cell on an imitation of Colab with those devices; returns the shell's commands."""
    manager = pytest.importorskip("IPython.core.inputtransformer2").TransformerManager()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "google.colab", sys)

    def run(index: int, *output: str, devices: tuple[str, ...] = (), **names) -> list[str]:
        monkeypatch.setattr(glob, "glob", lambda pattern: [d for d in devices if d[:8] in pattern])
        shell = Shell(tmp_path, output)
        shell.names |= names
        source = read(ROOT).cells[index].source
        source = source.replace('REPOSITORY = ""', f'REPOSITORY = "{names.get("REPOSITORY", "")}"')
        exec(manager.transform_cell(source), shell.names)
        return shell.commands

    return run


def test_without_an_address_to_clone_the_notebook_says_what_to_set(cell):
    with pytest.raises(ValueError, match="Set REPOSITORY"):
        cell(1)
    with pytest.raises(ValueError, match="could not be cloned"):
        cell(1, REPOSITORY="https://example.org/nowhere")


@pytest.mark.parametrize("devices", [(), ("/dev/accel0",), ("/dev/vfio/0",)])
def test_where_there_is_a_tpu_its_library_is_installed_too(cell, devices):
    clone, folder, install = cell(1, devices=devices, REPOSITORY="https://example.org/xt_jax")
    assert clone.endswith("xt_jax")
    assert folder == "cd xt_jax"
    assert install.endswith('".[tpu]"' if devices else '"."')


def test_a_tpu_that_jax_does_not_see_is_named(cell, capsys):
    for present, platform, told in (
        (True, "cpu", True),
        (True, "tpu", False),
        (False, "cpu", False),
    ):
        cell(2, "8 devices", platform, TPU=present)
        printed = capsys.readouterr().out
        assert "8 devices" in printed
        assert printed.count("does not see") == told
