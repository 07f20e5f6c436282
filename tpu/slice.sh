#!/usr/bin/env bash
# A TPU slice as a queued resource: created, set up, run on, watched, deleted.
#
#   tpu/slice.sh create  NAME --zone=ZONE --type=v5litepod-8 [--spot] [--project=P] [--runtime=R]
#   tpu/slice.sh wait    NAME --zone=ZONE            until the slice is there
#   tpu/slice.sh setup   NAME --zone=ZONE [--ref=main]   Python, this project, its pinned packages
#   tpu/slice.sh run     NAME --zone=ZONE -- --config=... --workdir=gs://...   on all hosts
#   tpu/slice.sh logs    NAME --zone=ZONE            what the first host prints, as it comes
#   tpu/slice.sh status  NAME --zone=ZONE --workdir=gs://...   how far the study is
#   tpu/slice.sh stop    NAME --zone=ZONE            SIGTERM: states are saved, `run` carries on
#   tpu/slice.sh keep    NAME (as create and run together)   makes a spot slice anew when it is taken
#   tpu/slice.sh delete  NAME --zone=ZONE
#
# --dry_run prints the commands and runs none. Needs gcloud, and gs:// folders for --workdir and the
# data: a slice's own disks go with it.
set -euo pipefail

readonly HOME_ON_SLICE=xt_jax

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  exit "${1:-0}"
}

fail() {
  echo "error: $1" >&2
  exit 1
}

# Prints a command as it could be typed, and runs it unless --dry_run.
do_it() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  [[ -n $dry_run ]] || "$@"
}

on_hosts() { # which hosts, command
  do_it gcloud compute tpus tpu-vm ssh "$name" "${where[@]}" --worker="$1" --command="$2"
}

create() {
  [[ -n $type ]] || fail "--type says which slice, for example --type=v5litepod-8"
  do_it gcloud compute tpus queued-resources create "$name" "${where[@]}" \
    --node-id="$name" --accelerator-type="$type" --runtime-version="$runtime" ${spot:+--spot}
}

state() {
  gcloud compute tpus queued-resources describe "$name" "${where[@]}" --format='value(state.state)'
}

wait_for_it() {
  if [[ -n $dry_run ]]; then
    echo "+ gcloud compute tpus queued-resources describe $name ... # every 30 s until ACTIVE"
    return
  fi
  local now
  while now=$(state); [[ $now != ACTIVE ]]; do
    [[ $now != FAILED && $now != SUSPENDED ]] || fail "$name is $now"
    echo "$(date +%H:%M:%S) $name is $now"
    sleep 30
  done
}

setup() {
  local repository=${XT_JAX_REPOSITORY:-$(git -C "$(dirname "$0")" remote get-url origin 2> /dev/null || true)}
  [[ -n $repository ]] || fail "XT_JAX_REPOSITORY=URL says what the slice clones: this folder has no origin"
  local install="
    set -e
    command -v uv > /dev/null || python3 -m pip install --quiet --user uv
    export PATH=\$HOME/.local/bin:\$PATH
    [ -d $HOME_ON_SLICE ] || git clone $repository $HOME_ON_SLICE
    cd $HOME_ON_SLICE && git fetch --quiet && git checkout --quiet $ref
    [ -d .venv ] || uv venv --quiet --python 3.11
    uv pip install --quiet -e '.[tpu,gcs]' -c tpu/constraints.txt"
  on_hosts all "$install"
  # JAX on every host sees all chips of the slice, or says here that it does not.
  on_hosts all "cd $HOME_ON_SLICE && .venv/bin/python -c 'import jax; jax.distributed.initialize();
    print(jax.process_index(), jax.local_device_count(), jax.device_count(), jax.devices()[0])'"
}

# Goes on when the connection is lost: the output lies in run.log on each host.
run_command() {
  local arguments
  printf -v arguments ' %q' "$@"
  echo "cd $HOME_ON_SLICE && nohup .venv/bin/python run.py --coordinator=auto$arguments \
> run.log 2>&1 < /dev/null & sleep 2; pgrep -f '[r]un.py' > /dev/null || tail -n 20 $HOME_ON_SLICE/run.log"
}

run_on_slice() {
  [[ $# -gt 0 ]] || fail "what to run comes after --, for example -- --config=... --workdir=gs://..."
  on_hosts all "$(run_command "$@")"
}

# A spot slice that was taken is deleted, asked for again, set up, and carries on.
keep() {
  create
  while true; do
    wait_for_it
    setup
    run_on_slice "$@"
    [[ -z $dry_run ]] || return 0
    while [[ $(state) == ACTIVE ]]; do
      if ! gcloud compute tpus tpu-vm ssh "$name" "${where[@]}" --worker=0 \
        --command="pgrep -f '[r]un.py' > /dev/null"; then
        [[ $(state) != ACTIVE ]] || { logs_now && echo "the run has ended" && return 0; }
      fi
      sleep 60
    done
    echo "$(date +%H:%M:%S) $name was taken"
    delete
    create
  done
}

logs_now() { on_hosts 0 "tail -n 40 $HOME_ON_SLICE/run.log"; }

delete() {
  do_it gcloud compute tpus queued-resources delete "$name" "${where[@]}" --force --quiet
}

[[ ${1:-} != --help && ${1:-} != -h && $# -ge 2 ]] || usage $(($# < 2 && $# > 0 ? 1 : 0))
command=$1 name=$2
shift 2
zone='' type='' project='' runtime='' spot='' ref=main workdir='' dry_run=''
while [[ $# -gt 0 ]]; do
  case $1 in
    --zone=*) zone=${1#*=} ;;
    --type=*) type=${1#*=} ;;
    --project=*) project=${1#*=} ;;
    --runtime=*) runtime=${1#*=} ;;
    --ref=*) ref=${1#*=} ;;
    --workdir=*) workdir=${1#*=} ;;
    --spot) spot=yes ;;
    --dry_run) dry_run=yes ;;
    --) shift && break ;;
    *) fail "unknown option $1; tpu/slice.sh --help lists them" ;;
  esac
  shift
done
[[ -n $zone ]] || fail "--zone says where, for example --zone=us-west4-a"
where=(--zone="$zone" ${project:+--project="$project"})
# https://cloud.google.com/tpu/docs/runtimes
case $type in
  v6e-*) runtime=${runtime:-v2-alpha-tpuv6e} ;;
  v5p-*) runtime=${runtime:-v2-alpha-tpuv5} ;;
  v5litepod-*) runtime=${runtime:-v2-alpha-tpuv5-lite} ;;
  *) runtime=${runtime:-tpu-ubuntu2204-base} ;;
esac

case $command in
  create) create ;;
  wait) wait_for_it ;;
  setup) setup ;;
  run) run_on_slice "$@" ;;
  logs) on_hosts 0 "tail -n 100 -F $HOME_ON_SLICE/run.log" ;;
  status)
    [[ -n $workdir ]] || fail "--workdir says which study"
    on_hosts 0 "cd $HOME_ON_SLICE && .venv/bin/python -m xt_jax.status --workdir=$workdir"
    ;;
  stop) on_hosts all "pkill -TERM -f '[r]un.py'" ;;
  keep) keep "$@" ;;
  delete) delete ;;
  *) fail "unknown command $command; tpu/slice.sh --help lists them" ;;
esac
