#!/usr/bin/env bash
# The same run as a workload of a GKE cluster, by XPK (https://github.com/AI-Hypercomputer/xpk).
#
#   tpu/xpk.sh NAME --cluster=CLUSTER --tpu-type=v5litepod-8 [other options of xpk] -- run.py's options
#
# The cluster: xpk cluster create --cluster=CLUSTER --tpu-type=v5litepod-8 --num-slices=1 --spot
# A slice that is taken is replaced up to 50 times; the study carries on from --workdir.
# DRY_RUN=yes prints the command.
set -euo pipefail

name=${1:?a name for the workload comes first}
shift
options=()
while [[ $# -gt 0 && $1 != -- ]]; do
  options+=("$1")
  shift
done
shift || { echo "error: what to run comes after --" >&2 && exit 1; }
printf -v arguments ' %q' "$@"

command="pip install --quiet uv && \
uv venv --quiet --python 3.11 .venv && uv pip install --quiet -e '.[tpu,gcs]' -c tpu/constraints.txt && \
exec .venv/bin/python run.py --coordinator=auto$arguments"

run=(xpk workload create --workload="$name" "${options[@]}" --max-restarts=50
  --base-docker-image=python:3.11-slim --script-dir=. --command="$command")
printf '+'
printf ' %q' "${run[@]}"
printf '\n'
[[ -n ${DRY_RUN:-} ]] || exec "${run[@]}"
