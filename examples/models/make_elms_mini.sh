#!/usr/bin/env bash
# Makes elms-mini from the texts and tasks below ../shared/data: its data, its vocabulary, the model. See TASKS.md here.
# usage: make_elms_mini.sh WORK_DIR [MINUTES]      (default: 60 minutes of training; a run that was cut off goes on)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shared=$(realpath -m "${ELMS_SHARED_DIR:-$root/../shared}")/data
elms=${ELMS:-$root/build/release/src/cli/elms}
work=${1:?usage: make_elms_mini.sh WORK_DIR [MINUTES]}
minutes=${2:-60}
data=$work/data
shape='{"d_model":256,"n_layers":8,"n_heads":8,"n_kv_heads":2,"head_dim":32,"d_ff":768,"context_length":1024,"tied_head":true}'

# Where the files of a task set are.
source_of() {
  case $1 in
    clinc150) echo "$shared/clinc150/data_train_val.json" ;;
    banking77) echo "$shared/banking77/train.csv" ;;
    sgd) echo "$shared/sgd/train" ;;
    *) echo "$shared/$1" ;;
  esac
}

# make_tasks OUT SEED OPTION...: the training requests of all sets.
make_tasks() {
  local out=$1 seed=$2 set part
  shift 2
  for set in snips clinc150 banking77 hwu64 sgd; do
    [[ $* != *--arguments* || $set =~ ^(snips|hwu64|sgd)$ ]] || continue
    part=$data/part.jsonl
    "$elms" tasks --from "$set" --in "$(source_of "$set")" -o "$part" --split train --unseen-functions exclude \
      --seed "$seed" "$@" >&2
    cat "$part"
  done >"$out"
  rm -f "$part"
}

make_data() {
  mkdir -p "$data"
  # The ends of the texts are for judging.
  local stories=$shared/tinystories/tinystories_sample_2MB.txt
  head -c 1900000 "$stories" >"$data/stories.train.txt"
  tail -c 150000 "$stories" >"$data/stories.held.txt"
  cat "$shared"/wikipedia-excellent/wiki_* | sed -E '/^<\/?doc/d' >"$data/wiki.txt"
  head -c 24000000 "$data/wiki.txt" >"$data/wiki.train.txt"
  tail -c 300000 "$data/wiki.txt" >"$data/wiki.held.txt"
  local seed
  for seed in 11 12 13; do make_tasks "$data/tasks.$seed.jsonl" $seed --functions 3-12 --few-shot 0-2; done
  cat "$data"/tasks.1?.jsonl >"$data/tasks.jsonl"
  make_tasks "$data/arguments.jsonl" 21 --functions 3-8 --few-shot 1-2 --arguments
}

make_vocabulary() {
  head -c 5000000 "$data/wiki.train.txt" >"$data/wiki.vocab.txt"
  "$elms" vocab --text "$data/stories.train.txt" "$data/wiki.vocab.txt" --jsonl "$data/tasks.11.jsonl" --size 4096 \
    -o "$work/vocab.gguf"
}

[[ -f $data/arguments.jsonl ]] || make_data
[[ -f $work/vocab.gguf ]] || make_vocabulary

# Every token of a prompt is learnt too: with completions alone the few targets of a row of tasks would drown among those of
# a row of text.
resume=()
[[ ! -f $work/run.ckpt.gguf ]] || resume=(--resume)
"$elms" train --vocab "$work/vocab.gguf" --shape "$shape" --name elms-mini \
  --data "$data/stories.train.txt:2,$data/wiki.train.txt:1,$data/tasks.jsonl:6:loss=all,$data/arguments.jsonl:1:loss=all" \
  --length 512 --batch-rows 8 --lr 2.5e-3 --minutes "$minutes" --checkpoint "$work/run.ckpt.gguf" --checkpoint-every 100 \
  "${resume[@]}" --type q8_0 --plot "$work/loss.svg" -o "$work/elms-mini.gguf"
