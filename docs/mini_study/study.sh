#!/usr/bin/env bash
# Makes the second mini study: pretrains each encoder, fine-tunes it and scores it.
#
#     docs/mini_study/study.sh DIR "mini-24 mini-32 mini-48 mini-64" "0 1 2"
#
# One workdir below DIR for each size and pretraining run. Every command carries on where it was
# stopped, and several of these scripts share the work: an encoder that another holds is passed by.
set -euo pipefail

dir=$1 sizes=$2 runs=$3
steps=12000
mkdir -p "$dir/log"

once() { # a name and a command: runs it unless it has ended well before
  [ -e "$dir/log/$1.done" ] && return
  echo "$(date +%T) $1"
  "${@:2}" >>"$dir/log/$1.log" 2>&1
  date >"$dir/log/$1.done"
}

study() { # an encoder's workdir, options of the page, further flags
  python run.py --config="configs/scaling_study_mini.py:$2" --workdir="$dir/study/$1" "${@:3}"
}

encoder() { # a size and a run
  local name=$1-s$2 keep=()
  [ "$2" = 0 ] && keep=("--config.train.keep_steps=2000,5000")
  once "pretrain-$name" python run.py --config="configs/pretrain_mini.py:size=$1,run=$2,steps=$steps" \
    --workdir="$dir/run$2/$name" "${keep[@]}"
  once "study-$name" study "$name" "sizes=$1,pretrained=$dir/run$2"
  once "published-$name" study "$name" "sizes=$1,pretrained=$dir/run$2" \
    --config.retrieval.layer=published --config.targets=tatoeba --config.targets=bucc
}

for run in $runs; do
  for size in $sizes; do
    exec 9>"$dir/log/$size-s$run.lock"
    flock --nonblock 9 || continue
    encoder "$size" "$run"
  done
done
