"""Places that cannot be written or read: one clear error, before any work."""

from __future__ import annotations

import os
import subprocess

import pytest

from xt_jax import check_data, files, mine, places, score, status
from xt_jax.config import Config
from xt_jax.errors import UserError
from xt_jax.report import __main__ as report
from xt_jax.study import forecast, runner


@pytest.fixture(params=["a file in the way", "no such file system", "a name too long", "no bucket"])
def place(request, tmp_path) -> str:
    """A folder that cannot be made."""
    (tmp_path / "file").write_text("")
    return {
        "a file in the way": f"{tmp_path}/file/folder",
        "no such file system": "/proc/nothing/folder",
        "a name too long": f"{tmp_path}/{'x' * 300}/folder",
        "no bucket": "nowhere://bucket/folder",
    }[request.param]


def refused(command, *arguments) -> UserError:
    with pytest.raises(UserError) as caught:
        command(*arguments)
    assert "The place cannot be " in caught.value.problem
    assert caught.value.remedy
    return caught.value


def test_outputs_are_refused_before_the_inputs_are_read(place, capsys):
    """The inputs do not exist either: their errors would come first if they were read first."""
    inputs = ["--predictions=none", "--labels=none"]
    assert place in refused(score.main, [*inputs, f"--output={place}/f.json"]).where
    inputs = ["--model=none", "--source=none", "--target=none"]
    assert place in refused(mine.main, [*inputs, f"--output={place}/f.tsv"]).where
    inputs = ["--data_dir=none", f"--output={place}/f.json"]
    assert check_data.main(inputs) == 2
    assert f"where: --output={place}/f.json" in capsys.readouterr().err


def test_a_report_is_refused_before_it_is_made(place, tmp_path):
    (tmp_path / "results.jsonl").write_text("no row\n")
    arguments = [f"--results={tmp_path}", f"--output={place}"]
    assert place in refused(report.main, arguments).where


def test_a_workdir_is_refused_before_anything_is_read(place):
    config = Config()  # without data
    assert place in refused(runner.run, config, place).where
    assert place in refused(forecast.forecast, config, place, 0.4).where


def test_what_lies_in_no_file_system_has_no_study(place):
    with pytest.raises(UserError) as caught:
        status.main([f"--workdir={place}"])
    assert place in caught.value.where


def test_a_workdir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert "it is a file" in refused(runner.run, Config(), f"{tmp_path}/file").problem


def test_an_output_that_is_a_folder(tmp_path):
    assert "it is a folder" in refused(places.check_output, tmp_path, "--output").problem


def test_a_read_only_folder(tmp_path):
    bind = ["mount", "--bind", str(tmp_path), str(tmp_path)]
    if subprocess.run(bind, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(tmp_path)], check=True)
        assert "Read-only" in refused(places.check_writable, tmp_path, "--workdir").problem
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    places.check_writable(tmp_path / "new", "--workdir")
    places.check_output(tmp_path / "new" / "file", "--output")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_pipe_is_written_and_a_link_kept(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE)
    places.check_output(tmp_path / "pipe", "--output")
    files.atomic_write_text(tmp_path / "pipe", "text")
    assert reader.communicate() == (b"text", None)
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    files.atomic_write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
