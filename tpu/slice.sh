#!/usr/bin/env bash
# Creates a TPU slice as a queued resource, sets it up, runs on it, watches it and deletes it.
#
#   tpu/slice.sh create  NAME --zone=ZONE --type=v5litepod-8 [--spot] [--project=P] [--runtime=R]
#   tpu/slice.sh wait    NAME --zone=ZONE            until the slice is there
#   tpu/slice.sh setup   NAME --zone=ZONE [--ref=main]   Python, this project, its pinned packages
#   tpu/slice.sh run     NAME --zone=ZONE -- --config=... --workdir=gs://...   on all hosts
#   tpu/slice.sh logs    NAME --zone=ZONE            what the first host prints, as it comes
#   tpu/slice.sh status  NAME --zone=ZONE --workdir=gs://...   how far the study is
#   tpu/slice.sh stop    NAME --zone=ZONE            SIGTERM: states are saved, `run` carries on
#   tpu/slice.sh keep    NAME (as create and run together)   all of it, until the run has ended;
#                                                    makes a slice anew when it is taken
#   tpu/slice.sh delete  NAME --zone=ZONE
#
# --ref is a branch, a tag or a whole commit. --dry_run prints the commands and runs none. Needs
# gcloud, and gs:// folders for --workdir and the data: a slice's own disks go with it.
#
#   XT_JAX_REPOSITORY     what a slice clones; else the origin of this folder
#   XT_JAX_POLL_SECONDS   between two checks of a slice: 30
#   XT_JAX_START_SECONDS  for which `run` watches whether the run starts without errors: 20
set -euo pipefail

readonly poll=${XT_JAX_POLL_SECONDS:-30} start=${XT_JAX_START_SECONDS:-20}
readonly tries=10    # calls in a row that may fail
readonly another=75  # exit status of `start_run` beside a run with other arguments

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  exit "${1:-0}"
}

fail() {
  echo "error: $1" >&2
  exit 1
}

say() { echo "$(date +%H:%M:%S) $*"; }

# ---- Functions that run on the hosts: `sent` sends them as they are.

is_running() { pgrep --pidfile run.pid --full run.py > /dev/null 2>&1; }

install_project() { # repository, ref
  set -e
  command -v uv > /dev/null || python3 -m pip install --quiet --user uv
  export PATH=$HOME/.local/bin:$PATH
  mkdir -p xt_jax
  cd xt_jax
  if is_running; then
    echo "error: a run is under way here, process $(cat run.pid); stop it first" >&2
    return 1
  fi
  rm -f run.status # of an earlier run
  [ -d .git ] || git init --quiet
  git fetch --quiet "$1" "$2"
  git checkout --quiet --detach FETCH_HEAD
  [ -d .venv ] || uv venv --quiet --python 3.11
  uv pip install --quiet -e '.[tpu,gcs]' -c tpu/constraints.txt
  git log -1 --format="$(hostname) has %h, %s"
}

# Shows whether JAX on every host sees all chips of the slice.
show_devices() {
  cd xt_jax && .venv/bin/python -c 'import jax; jax.distributed.initialize(); print(
    f"process {jax.process_index()} of {jax.process_count()}: {jax.local_device_count()} chips "
    f"of {jax.device_count()}, {jax.devices()[0].device_kind}")'
}

# A session of its own with no hold on ssh's: it goes on when the connection is lost, and gcloud,
# which then runs all this again, finds it. The process of run.pid lives until run.status is there.
start_run() { # seconds, run.py's arguments
  local seconds=$1 status
  shift
  cd xt_jax || return
  if is_running; then
    if [ "$(cat run.arguments)" = "$*" ]; then
      echo "already running: process $(cat run.pid)"
      return
    fi
    echo "error: another run is under way: $(cat run.arguments)" >&2
    return 75
  fi
  rm -f run.status
  echo "$*" > run.arguments
  setsid bash -c 'trap : TERM # what ends run.py must not keep its status from being written
    .venv/bin/python run.py "$@"
    echo $? > run.status.new
    mv run.status.new run.status' run.py "$@" > run.log 2>&1 < /dev/null &
  echo $! > run.pid
  timeout "$seconds" tail -s 0.2 --pid=$! -f /dev/null || true
  if is_running; then
    echo "running: process $(cat run.pid), output in xt_jax/run.log"
    return
  fi
  status=$(cat run.status)
  echo "run.py has ended with status $status; its last lines:"
  tail -n 20 run.log
  return "$status"
}

report_run() { # running, the status that it ended with, or none
  if ! cd xt_jax 2> /dev/null; then
    echo none
  elif is_running; then
    echo running
  else
    cat run.status 2> /dev/null || echo none
  fi
}

stop_run() {
  cd xt_jax || return
  if ! is_running; then
    echo "nothing runs"
    return
  fi
  echo "process $(cat run.pid) saves its state"
  pkill -TERM --parent "$(cat run.pid)"
  tail -s 0.2 --pid="$(cat run.pid)" -f /dev/null
  echo "it has ended with status $(cat run.status)"
}

follow_log() { # lines
  cd xt_jax && tail -n "$1" -s 0.5 -F --pid="$(cat run.pid)" run.log
}

show_end() { # lines
  cd xt_jax && echo "$(hostname): status $(cat run.status 2> /dev/null || echo none)" &&
    tail -n "$1" run.log
}

# ---- Functions that run on this machine.

sent() { # names of functions, arguments of the last one
  # shellcheck disable=SC2086
  declare -f $1
  printf '%q' "${1##* }"
  shift
  [[ $# -eq 0 ]] || printf ' %q' "$@"
  printf '\n'
}

# Runs a command; with --dry_run prints it as it can be typed.
do_it() {
  if [[ -z $dry_run ]]; then
    "$@"
    return
  fi
  local word line='' quote="'\\''"
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=@,-]+$ ]] || word="'${word//\'/$quote}'"
    line+="${line:+ }$word"
  done
  echo "$line"
}

on_hosts() { # which hosts, command
  do_it gcloud compute tpus tpu-vm ssh "$name" "${where[@]}" --worker="$1" --command="$2"
}

describe() { # what of it
  do_it gcloud compute tpus queued-resources describe "$name" "${where[@]}" --format="value($1)"
}

needs_type() {
  [[ -n $type ]] || fail "--type says which slice, for example --type=v5litepod-8"
}

create() {
  needs_type
  [[ -n $dry_run ]] || say "asking for $name: $type${spot:+, spot}"
  do_it gcloud compute tpus queued-resources create "$name" "${where[@]}" \
    --node-id="$name" --accelerator-type="$type" --runtime-version="$runtime" ${spot:+--spot}
}

delete() {
  [[ -n $dry_run ]] || say "deleting $name"
  do_it gcloud compute tpus queued-resources delete "$name" "${where[@]}" --force --quiet
}

# Prints the queued resource's state, or NOT_FOUND. A failed call says nothing about the slice.
state() {
  local answer i
  for ((i = 1; i <= tries; i++)); do
    if answer=$(describe state.state 2>&1); then
      grep -xE '[A-Z_]+' <<< "$answer" && return
    elif [[ $answer == *NOT_FOUND* ]]; then
      echo NOT_FOUND
      return
    fi
    echo "$answer" >&2
    sleep "$poll"
  done
  fail "the state of $name cannot be read ($tries times)"
}

# Prints the state of the run on the first host, as `report_run` does.
run_state() {
  local answer
  if ! answer=$(on_hosts 0 "$(sent "is_running report_run")" 2>&1); then
    echo "$answer" >&2
    return 1
  fi
  grep -xE 'running|none|[0-9]+' <<< "$answer"
}

wait_for_it() {
  if [[ -n $dry_run ]]; then
    echo "# every $poll s until it says ACTIVE:"
    describe state.state
    return
  fi
  local now
  while true; do
    now=$(state)
    case $now in
      NOT_FOUND) fail "there is no slice $name in $zone; create makes one" ;;
      FAILED | SUSPENDING | SUSPENDED) fail "$name is $now$(reason)" ;;
    esac
    say "$name is $now"
    [[ $now != ACTIVE ]] || return 0
    sleep "$poll"
  done
}

reason() { # why it failed, where that is known
  local why
  why=$(describe state.failedData.error.message 2> /dev/null) || true
  echo "${why:+ ($why)}"
}

setup() {
  local repository=${XT_JAX_REPOSITORY:-}
  [[ -n $repository ]] || repository=$(git -C "$(dirname "$0")" remote get-url origin) ||
    fail "XT_JAX_REPOSITORY=URL says what the slice clones: this folder has no origin"
  [[ -n $dry_run ]] || say "setting up the hosts of $name"
  on_hosts all "$(sent "is_running install_project" "$repository" "$ref")" &&
    on_hosts all "$(sent show_devices)"
}

needs_arguments() {
  [[ $# -gt 0 ]] || fail "what to run comes after --: -- --config=... --workdir=gs://..."
}

run_on_slice() {
  needs_arguments "$@"
  [[ -n $dry_run ]] || say "starting run.py on the hosts of $name"
  on_hosts all "$(sent "is_running start_run" "$start" --coordinator=auto "$@")"
}

# Ends with the run. The states of the queued resource and of the run on it determine the next step,
# so a second `keep` continues where the first one was.
keep() {
  needs_type
  needs_arguments "$@"
  if [[ -n $dry_run ]]; then
    print_keep "$@"
    return
  fi
  local there='' begun='' failures=0
  while ((failures < tries)); do
    if keep_on "$@"; then
      failures=0
    else
      failures=$((failures + 1))
    fi
    sleep "$poll"
  done
  fail "given up after $tries failures in a row; $name is as it was"
}

keep_on() {
  local now
  now=$(state) || exit
  case $now in
    NOT_FOUND)
      [[ -z $there ]] || fail "$name was deleted"
      create
      ;;
    SUSPENDING | SUSPENDED | FAILED)
      say "$name is $now$(reason)"
      begun=''
      delete && there='' && create
      ;;
    ACTIVE)
      there=yes
      carry_on "$@"
      ;;
    *)
      there=yes
      say "$name is $now"
      ;;
  esac
}

carry_on() {
  local run now status=0
  run=$(run_state) || return
  if [[ -z $begun ]]; then
    [[ $run == running ]] || setup || return # no status of an earlier run is left
    run_on_slice "$@" || status=$?
    [[ $status != "$another" ]] || exit "$status"
    run=$(run_state) && [[ $run != none ]] || return
    begun=yes
  fi
  case $run in
    running) ;;
    143 | none)
      say "the run was stopped"
      begun=''
      ;;
    0)
      on_hosts 0 "$(sent show_end 40)" || true
      say "the run is done; $name is still there: delete"
      exit 0
      ;;
    *)
      # Where one host of several is taken, the others end in an error, perhaps before it is known.
      say "the run has ended with status $run"
      begun=''
      sleep "$poll"
      now=$(state) || exit
      [[ $now == ACTIVE ]] || return 0
      on_hosts all "$(sent show_end 40)" || true
      say "status $run; $name is still there: delete" >&2
      exit "$run"
      ;;
  esac
}

print_keep() {
  echo "# unless there is one:"
  create
  wait_for_it
  echo "# unless the run is under way:"
  setup
  run_on_slice "$@"
  echo "# every $poll s, how both are; 143 or none: again from here, with what the slice then is:"
  describe state.state
  on_hosts 0 "$(sent "is_running report_run")"
  echo "# SUSPENDING, SUSPENDED or FAILED: this, and all again from the top:"
  describe state.failedData.error.message
  delete
  echo "# 0, or another status (then of all hosts): the end"
  on_hosts 0 "$(sent show_end 40)"
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
  logs) on_hosts 0 "$(sent follow_log 100)" ;;
  status)
    [[ -n $workdir ]] || fail "--workdir says which study"
    on_hosts 0 "cd xt_jax && .venv/bin/python -m xt_jax.status $(printf %q "--workdir=$workdir")"
    ;;
  stop) on_hosts all "$(sent "is_running stop_run")" ;;
  keep) keep "$@" ;;
  delete) delete ;;
  *) fail "unknown command $command; tpu/slice.sh --help lists them" ;;
esac
