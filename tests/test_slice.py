"""The scripts for slices, against a gcloud whose queued resource and one host are in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

# `state` is the queued resource, `home` its host. A line of `faults` makes one call fail that
# holds it; `states` are those that follow as it is looked at.
GCLOUD = r"""#!/usr/bin/env bash
cd "$(dirname "$0")/.."
echo "$3 $4" >> calls
error() { echo "ERROR: (gcloud.$2.$3.$4) $1" >&2; exit 1; }
if [ -s faults ] && [[ $* == *"$(head -n 1 faults)"* ]]; then
  sed -i 1d faults
  error "There was a problem refreshing your current auth tokens" "$@"
fi
if [ -s states ] && [[ "$4 $*" == "describe "*state.state* ]]; then
  head -n 1 states > state
  sed -i 1d states
fi
case $4 in
  create)
    [ ! -e state ] || error "ALREADY_EXISTS: Resource '$5' already exists" "$@"
    echo ACTIVE > state
    mkdir home ;;
  describe)
    [ -e state ] || error "NOT_FOUND: Resource '$5' was not found" "$@"
    [[ $* != *failedData* ]] || exit 0
    cat state ;;
  delete)
    rm -r state home ;;
  ssh)
    [ "$(cat state)" = ACTIVE ] || error "$5 is in no usable state" "$@"
    for word in "$@"; do
      [[ $word != --command=* ]] || command=${word#*=}
    done
    cd home
    # As sshd: until nobody holds the command's output any longer.
    HOME=$PWD bash -c "$command" 2>&1 < /dev/null | cat
    exit "${PIPESTATUS[0]}" ;;
esac
"""

UV = r"""#!/usr/bin/env bash
echo "uv $*" >> "$FAKE/installed"
if [ "$1" = venv ]; then
  mkdir -p .venv/bin
  cp "$FAKE/bin/slice_python" .venv/bin/python
fi
"""

# A line of `plan` is what a run does: sleep, or end with a status; then the slice is taken, which
# is written into `state` or, to be seen at the next look, into `states`.
PYTHON = r"""#!/usr/bin/env bash
case $1 in
  -c) PYTHONPATH=$FAKE/fake exec "$REAL_PYTHON" "$@" ;;
  -m) echo "$*" && exit ;;
esac
echo "$*" | tee -a "$FAKE/runs"
read -r status state file < "$FAKE/plan"
sed -i 1d "$FAKE/plan"
[ "$status" != sleep ] || exec sleep 60
[ -z "$state" ] || echo "$state" > "$FAKE/$file"
echo "the last line"
exit "$status"
"""

JAX = """
distributed = type("", (), {"initialize": lambda: None})
process_index = lambda: 0
process_count = lambda: 1
local_device_count = device_count = lambda: 8
devices = lambda: [type("", (), {"device_kind": "TPU v5 lite"})]
"""

RUN = ("--", "--config=a page", "--workdir=gs://bucket/run")
SPOT = ("--type=v5litepod-8", "--spot")


class Cloud:
    def __init__(self, folder: Path):
        self.folder = folder
        self.checkout = folder / "home" / "xt_jax"
        (folder / "bin").mkdir()
        (folder / "fake").mkdir()
        (folder / "fake" / "jax.py").write_text(JAX)
        for name, text in (("gcloud", GCLOUD), ("uv", UV), ("slice_python", PYTHON)):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.origin = folder / "origin"
        self.git("init", "--quiet", "--initial-branch=main", str(self.origin))
        self.commit("first")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    def commit(self, text: str) -> None:
        (self.origin / "code").write_text(text)
        self.git("-C", str(self.origin), "add", "code")
        self.git("-C", str(self.origin), "commit", "--quiet", f"--message={text}")

    def write(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines))

    def read(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def start(self, command: str, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [str(ROOT / "tpu" / "slice.sh"), command, "one", "--zone=us-west4-a", *arguments],
            env={
                **os.environ,
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "FAKE": str(self.folder),
                "REAL_PYTHON": sys.executable,
                "XT_JAX_REPOSITORY": str(self.origin),
                "XT_JAX_POLL_SECONDS": "0.05",
                "XT_JAX_START_SECONDS": "0.4",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def do(self, command: str, *arguments: str, status: int = 0) -> str:
        process = self.start(command, *arguments)
        try:
            printed, _ = process.communicate(timeout=20)
        finally:
            process.kill()
        assert process.returncode == status, printed
        return printed

    def ready(self) -> None:
        """A slice that is set up."""
        self.do("create", *SPOT)
        self.do("setup")

    def calls(self, name: str) -> int:
        return [line.split()[1] for line in self.read("calls")].count(name)

    def end_runs(self) -> None:
        for path in self.folder.glob("home/xt_jax/run.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(path.read_text()), signal.SIGKILL)


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
    assert cloud.read("runs") == [
        "run.py --coordinator=auto --config=a page --workdir=gs://bucket/run"
    ]
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


def test_a_failed_start_is_shown_and_is_an_error(cloud):
    cloud.ready()
    cloud.write("plan", "2")
    printed = cloud.do("run", *RUN, status=2)
    assert "ended with status 2" in printed
    assert "the last line" in printed


def test_logs_end_with_the_run_and_status_names_the_study(cloud):
    cloud.ready()
    cloud.write("plan", "0")
    cloud.do("run", *RUN)
    assert cloud.do("logs").splitlines()[-1] == "the last line"
    assert "--workdir=gs://b/run" in cloud.do("status", "--workdir=gs://b/run")


def test_keep_goes_from_nothing_to_the_end_of_the_run(cloud):
    cloud.write("plan", "0")
    printed = cloud.do("keep", *SPOT, *RUN)
    assert "the last line" in printed
    assert "the run is done" in printed
    assert cloud.calls("create") == 1
    assert cloud.calls("delete") == 0


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


def test_keep_ends_with_the_status_of_a_users_error(cloud):
    cloud.write("plan", "2")
    printed = cloud.do("keep", *SPOT, *RUN, status=2)
    assert "the last line" in printed
    assert cloud.calls("delete") == 0


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


# What a command prints with --dry_run, in this order.
COMMANDS = {
    "create": ["queued-resources create one"],
    "wait": ["queued-resources describe one"],
    "setup": ["install_project https://example.org/xt_jax main", "jax.distributed.initialize"],
    "run": ["start_run 20 --coordinator=auto --config=configs/quickstart.py"],
    "logs": ["--worker=0", "follow_log 100"],
    "status": ["xt_jax.status --workdir=gs://bucket/run"],
    "stop": ["--worker=all", "stop_run"],
    "delete": ["queued-resources delete one"],
}
COMMANDS["keep"] = [
    *COMMANDS["create"],
    *COMMANDS["wait"],
    *COMMANDS["setup"],
    *COMMANDS["run"],
    *COMMANDS["wait"],
    "report_run",
    "failedData",
    *COMMANDS["delete"],
    "show_end",
]


def printed_by(*command: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "XT_JAX_REPOSITORY": "https://example.org/xt_jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dry_run_prints_what_can_be_typed(command, tmp_path):
    printed = printed_by(
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
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-eu", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("--zone=us-west4-a") == printed.count("gcloud compute") > 0


def test_the_script_says_what_it_lacks():
    for arguments, missing in (
        (["create", "one"], "--zone"),
        (["fly", "one", "--zone=a"], "fly"),
        (["keep", "one", "--zone=a", "--", "--config=a"], "--type"),
        (["keep", "one", "--zone=a", "--type=v5litepod-8"], "after --"),
        (["run", "one", "--zone=a"], "after --"),
    ):
        done = subprocess.run(
            ["tpu/slice.sh", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert missing in done.stderr


def test_the_xpk_script_prints_a_command_of_xpk():
    printed = printed_by(
        *("tpu/xpk.sh", "one", "--cluster=mine", "--dry_run", "--tpu-type=v5litepod-8", "--"),
        *("--config=a page", "--workdir=gs://bucket/run"),
    )
    words = subprocess.run(
        ["bash", "-c", f"xpk() {{ printf '%s\\n' \"$@\"; }}; {printed}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
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
        done = subprocess.run(
            ["bash", "-eu", "-c", job["run"]],
            cwd=tmp_path,
            env={**os.environ, **job["envs"], **given, "OPTIONS": options},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines() == [
            *("run.py", "--coordinator=auto", "--config=configs/mnli_to_xtreme.py:size=base"),
            *("--config.data.dir=gs://b/data", "--workdir=gs://b/run", *options.split()),
        ]
    subprocess.run(["bash", "-n", "-c", job["setup"]], check=True)


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "tpu").glob("*.sh")))
def test_the_scripts_are_clean(name):
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck (extra `test`)")
    done = subprocess.run(["shellcheck", f"tpu/{name}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
