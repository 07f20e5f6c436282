"""The scripts for slices, against a gcloud whose queued resource and one host are in a folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from fake_cloud import RUN, SPOT, UV, Cloud

pytestmark = pytest.mark.slow


@pytest.fixture
def cloud(tmp_path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path)
    yield cloud
    cloud.end_runs()


def test_a_slice_is_made_once_and_waited_for(cloud):
    assert "v5litepod-8, spot" in cloud.do("create", *SPOT)
    assert "ALREADY_EXISTS" in cloud.do("create", *SPOT, status=1)
    cloud.write("states", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE")
    words = [line.split()[-1] for line in cloud.do("wait").splitlines()]
    assert words == ["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    cloud.write("states", "SUSPENDED")
    assert "one is SUSPENDED" in cloud.do("wait", status=1)
    cloud.do("delete")
    assert "no slice one" in cloud.do("wait", status=1)


def test_setup_shows_the_devices_and_a_second_one_fetches_new_code(cloud):
    cloud.do("create", *SPOT)
    printed = cloud.do("setup")
    assert "process 0 of 1: 8 chips of 8, TPU v5 lite" in printed
    assert (cloud.checkout / "code").read_text() == "first"
    cloud.commit("second")
    assert "second" in cloud.do("setup")
    assert (cloud.checkout / "code").read_text() == "second"
    assert len([line for line in cloud.read("installed") if "venv" in line]) == 1


def test_run_returns_while_the_run_goes_on_and_starts_it_once(cloud):
    cloud.ready()
    cloud.write("plan", "sleep", "sleep")
    begun = time.monotonic()
    assert "running: process" in cloud.do("run", *RUN)
    assert time.monotonic() - begun < 10
    (begun_as,) = cloud.read("runs")
    assert begun_as == "run.py --coordinator=auto --config=a page --workdir=gs://bucket/run"
    assert "already running" in cloud.do("run", *RUN)
    assert "another run is under way" in cloud.do("run", "--", "--config=b", status=75)
    assert "stop it first" in cloud.do("setup", status=1)
    assert len(cloud.read("runs")) == 1
    assert "ended with status 143" in cloud.do("stop")
    assert (cloud.checkout / "run.status").read_text() == "143\n"
    assert "nothing runs" in cloud.do("stop")
    assert "running: process" in cloud.do("run", *RUN)
    assert len(cloud.read("runs")) == 2


def test_the_status_is_kept_when_a_signal_ends_all_processes_of_the_run(cloud):
    cloud.ready()
    cloud.write("plan", "sleep")
    cloud.do("run", *RUN)
    os.killpg(int((cloud.checkout / "run.pid").read_text()), signal.SIGTERM)
    cloud.do("logs")  # until it has ended
    assert (cloud.checkout / "run.status").read_text() == "143\n"


def test_logs_end_with_the_run_and_status_names_the_study(cloud):
    cloud.ready()
    cloud.write("plan", "0")
    cloud.do("run", *RUN)
    assert cloud.do("logs").splitlines()[-1] == "the last line"
    assert "--workdir=gs://b/run" in cloud.do("status", "--workdir=gs://b/run")


@pytest.mark.parametrize(("status", "end"), [(0, "the run is done"), (2, "ended with status 2")])
def test_keep_goes_from_nothing_to_the_end_of_the_run(cloud, status, end):
    cloud.write("plan", str(status))
    printed = cloud.do("keep", *SPOT, *RUN, status=status)
    assert "the last line" in printed
    assert end in printed
    assert (cloud.calls("create"), cloud.calls("delete")) == (1, 0)


@pytest.mark.parametrize(
    ("status", "taken", "seen"),
    [
        (143, "SUSPENDING", "state"),
        (143, "FAILED", "state"),
        (143, "SUSPENDED", "states"),
        (134, "SUSPENDED", "states"),  # one host of several was taken, the others lack it
    ],
)
def test_keep_carries_on_with_a_new_slice(cloud, status, taken, seen):
    cloud.write("plan", f"{status} {taken} {seen}", "0")
    printed = cloud.do("keep", *SPOT, *RUN)
    assert f"one is {taken}" in printed
    assert (cloud.calls("create"), cloud.calls("delete")) == (2, 1)
    assert len(cloud.read("runs")) == 2
    assert ("the run was stopped" in printed) == (status == 143 and seen == "states")


def test_keep_starts_a_stopped_run_again_where_the_slice_is_still_there(cloud):
    cloud.write("plan", "143", "0")
    assert "the run was stopped" in cloud.do("keep", *SPOT, *RUN)
    assert (cloud.calls("create"), cloud.calls("delete")) == (1, 0)
    assert len(cloud.read("runs")) == 2


def test_keep_survives_a_slice_that_is_taken_while_it_waits_or_is_set_up(cloud):
    cloud.write("states", "WAITING_FOR_RESOURCES", "FAILED")
    cloud.write("state", "WAITING_FOR_RESOURCES")
    (cloud.folder / "home").mkdir()
    cloud.write("plan", "0")
    (cloud.folder / "bin" / "uv").write_text(
        UV + 'if [ ! -e "$FAKE/taken" ]; then touch "$FAKE/taken"\n'
        'echo SUSPENDED > "$FAKE/state"; exit 1; fi\n'
    )
    printed = cloud.do("keep", *SPOT, *RUN)
    assert "one is FAILED" in printed
    assert "one is SUSPENDED" in printed
    assert (cloud.calls("create"), cloud.calls("delete")) == (2, 2)


def test_calls_that_fail_delete_nothing(cloud):
    cloud.write("faults", "describe", "describe", "create", "describe", "ssh", "ssh")
    cloud.write("plan", "0")
    assert "auth tokens" in cloud.do("keep", *SPOT, *RUN)
    assert cloud.calls("delete") == 0
    assert not cloud.read("faults")


def test_keep_gives_up_where_no_call_works(cloud):
    cloud.write("faults", *["describe"] * 20)
    printed = cloud.do("keep", *SPOT, *RUN, status=1)
    assert "auth tokens" in printed
    assert "cannot be read" in printed
    assert set(cloud.read("calls")) == {"queued-resources describe"}
    assert cloud.calls("describe") == 10


def test_keep_follows_a_run_that_is_under_way(cloud):
    cloud.ready()
    cloud.write("plan", "sleep")
    cloud.do("run", *RUN)
    process = cloud.start("keep", *SPOT, *RUN)
    while cloud.calls("describe") < 4:
        time.sleep(0.01)
    assert process.poll() is None
    pid = (cloud.checkout / "run.pid").read_text().strip()
    subprocess.run(["pkill", "-KILL", "--parent", pid], check=True)
    printed, _ = process.communicate(timeout=20)
    assert process.returncode == 137, printed
    assert (cloud.calls("create"), len(cloud.read("runs"))) == (1, 1)


def test_keep_leaves_another_run_alone(cloud):
    cloud.ready()
    cloud.write("plan", "sleep")
    cloud.do("run", *RUN)
    assert "another run" in cloud.do("keep", *SPOT, "--", "--config=b", status=75)
    assert len(cloud.read("runs")) == 1


def test_keep_does_not_take_the_end_of_an_earlier_run_for_its_own(cloud):
    cloud.ready()
    cloud.write("plan", "0", "2")
    cloud.do("run", *RUN)
    cloud.write("faults", "start_run")
    cloud.do("keep", *SPOT, *RUN, status=2)
    assert cloud.calls("create") == 1


def test_keep_ends_where_somebody_deletes_the_slice(cloud):
    cloud.write("plan", "sleep")
    process = cloud.start("keep", *SPOT, *RUN)
    while not cloud.read("runs"):
        time.sleep(0.01)
    cloud.end_runs()
    cloud.do("delete")
    printed, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "was deleted" in printed
    assert cloud.calls("create") == 1


# What a command prints with --dry_run, in this order; `keep` does what the others do.
COMMANDS = {
    "logs": ["--worker=0", "follow_log 100"],
    "status": ["xt_jax.status --workdir=gs://bucket/run"],
    "stop": ["--worker=all", "stop_run"],
    "keep": [
        *("queued-resources create one", "queued-resources describe one"),
        *("install_project https://example.org/xt_jax main", "jax.distributed.initialize"),
        "start_run 20 --coordinator=auto --config=configs/quickstart.py",
        *("queued-resources describe one", "report_run", "failedData"),
        *("queued-resources delete one", "show_end"),
    ],
}


def output_of(*command: str, folder: Path = ROOT, status: int = 0, **environment: str) -> str:
    """Returns what a command prints, with its errors."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "XT_JAX_REPOSITORY": "https://example.org/xt_jax", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dry_run_prints_what_can_be_typed(command, tmp_path):
    printed = output_of(
        *("tpu/slice.sh", command, "one", "--zone=us-west4-a", "--type=v5litepod-8", "--spot"),
        *("--workdir=gs://bucket/run", "--dry_run", "--", "--config=configs/quickstart.py"),
    )
    place = 0
    for part in COMMANDS[command]:
        assert part in printed[place:], (part, printed)
        place = printed.index(part, place) + len(part)
    # It is a script that calls gcloud and nothing else, with the zone, and sends sound commands.
    check = 'for word; do [[ $word != --command=* ]] || bash -n -c "${word#*=}"; done; echo "$*"'
    (tmp_path / "gcloud").write_text(f"#!/usr/bin/env bash\nset -e\n{check}\n")
    (tmp_path / "gcloud").chmod(0o755)
    script = tmp_path / "script"
    script.write_text(printed)
    done = output_of("bash", "-eu", str(script), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.count("--zone=us-west4-a") == printed.count("gcloud compute") > 0


def test_the_script_says_what_it_lacks():
    for arguments, missing in (
        (["create", "one"], "--zone"),
        (["fly", "one", "--zone=a"], "fly"),
        (["keep", "one", "--zone=a", "--", "--config=a"], "--type"),
        (["keep", "one", "--zone=a", "--type=v5litepod-8"], "after --"),
        (["run", "one", "--zone=a"], "after --"),
    ):
        assert missing in output_of("tpu/slice.sh", *arguments, status=1)


def test_the_xpk_script_prints_a_command_of_xpk():
    printed = output_of(
        *("tpu/xpk.sh", "one", "--cluster=mine", "--dry_run", "--tpu-type=v5litepod-8", "--"),
        *("--config=a page", "--workdir=gs://bucket/run"),
    )
    fake = f"xpk() {{ printf '%s\\n' \"$@\"; }}; {printed}"
    words = output_of("bash", "-c", fake).splitlines()
    assert words[:5] == [
        *("workload", "create", "--workload=one", "--cluster=mine", "--tpu-type=v5litepod-8")
    ]
    assert words[-1].endswith(r"--coordinator=auto --config=a\ page --workdir=gs://bucket/run")


def test_the_job_of_skypilot_takes_further_options(tmp_path):
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((ROOT / "tpu" / "sky.yaml").read_text())
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/usr/bin/env bash\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    given = {"DATA": "gs://b/data", "WORKDIR": "gs://b/run"}
    assert [name for name, value in job["envs"].items() if value is None] == [*given]
    for options in ("", "--config.train.sharding=fsdp --config.seeds=3"):
        settings = {**job["envs"], **given, "OPTIONS": options}
        done = output_of("bash", "-eu", "-c", job["run"], folder=tmp_path, **settings)
        assert done.splitlines() == [
            *("run.py", "--coordinator=auto", "--config=configs/mnli_to_xtreme.py:size=base"),
            *("--config.data.dir=gs://b/data", "--workdir=gs://b/run", *options.split()),
        ]
    output_of("bash", "-n", "-c", job["setup"])


def test_the_scripts_are_clean():
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck (extra `test`)")
    output_of("shellcheck", *(str(path) for path in (ROOT / "tpu").glob("*.sh")))
