#!/usr/bin/env bash
# The same run as a workload of a GKE cluster, by XPK (https://github.com/AI-Hypercomputer/xpk).
#
#   tpu/xpk.sh NAME --cluster=CLUSTER --tpu-type=v5litepod-8 [other options of xpk] -- run.py's options
#
# The cluster: xpk cluster create --cluster=CLUSTER --tpu-type=v5litepod-8 --num-slices=1 --spot
# A slice that is taken is replaced up to 50 times; the study carries on from --workdir.
# --dry_run prints the command and does not run it.
set -euo pipefail

[[ ${1:-} != -* ]] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit; }
name=${1:?a name for the workload comes first}
shift
options=() dry_run=''
while [[ $# -gt 0 && $1 != -- ]]; do
  if [[ $1 == --dry_run ]]; then dry_run=yes; else options+=("$1"); fi
  shift
done
shift || { echo "error: what to run comes after --" >&2 && exit 1; }
printf -v arguments ' %q' "$@"

command="pip install --quiet uv && \
uv venv --quiet --python 3.11 .venv && uv pip install --quiet -e '.[tpu,gcs]' -c tpu/constraints.txt && \
exec .venv/bin/python run.py --coordinator=auto$arguments"

run=(xpk workload create --workload="$name" ${options[@]+"${options[@]}"} --max-restarts=50
  --base-docker-image=python:3.11-slim --script-dir=. --command="$command")
printf '%q ' "${run[@]}"
printf '\n'
[[ -n $dry_run ]] || exec "${run[@]}"
