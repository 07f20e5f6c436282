"""A fake gcloud whose queued resource and host are kept in a folder, to test the scripts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

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
