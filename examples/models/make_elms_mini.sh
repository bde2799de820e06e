#!/usr/bin/env bash
# Makes elms-mini from the texts and tasks below ../shared/data: its data, its vocabulary, the model, its levels.
# usage: make_elms_mini.sh WORK_DIR [MINUTES]      (default: 120 minutes of training; what was cut off goes on; 0: only
#                                                   the data and the vocabulary)
# See TASKS.md and README.md here.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shared=$(realpath -m "${ELMS_SHARED_DIR:-$root/../shared}")/data
elms=${ELMS:-$root/build/release/src/cli/elms}
work=${1:?usage: make_elms_mini.sh WORK_DIR [MINUTES]}
minutes=${2:-120}
data=$work/data
shape='{"d_model":256,"n_layers":8,"n_heads":8,"n_kv_heads":2,"head_dim":32,"d_ff":768,"context_length":1024,"tied_head":true}'
levels=0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1.0

# Where the files of a task set are.
source_of() {
  case $1 in
    clinc150) echo "$shared/clinc150/data_train_val.json" ;;
    banking77) echo "$shared/banking77/train.csv" ;;
    sgd) echo "$shared/sgd/train" ;;
    octopus) echo "$shared/elastilm/Octopus_refined" ;;
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
  make_tasks "$data/plain.jsonl" 11 --functions 3-12 --few-shot 0-2
  make_tasks "$data/turns.jsonl" 31 --functions 4-10 --few-shot 4-12
  make_tasks "$data/aliased.1.jsonl" 41 --functions 4-9 --few-shot 2-9 --renamed 0.5 --by-example 0.35
  make_tasks "$data/aliased.2.jsonl" 42 --functions 4-9 --few-shot 2-9 --renamed 0.5 --by-example 0.35
  cat "$data"/aliased.?.jsonl >"$data/aliased.jsonl"
  make_tasks "$data/arguments.jsonl" 32 --functions 3-6 --few-shot 3-7 --arguments
  # What judges: requests and functions that training has not seen.
  local set
  for set in snips clinc150 banking77 hwu64; do
    "$elms" tasks --from $set --in "$(source_of $set)" -o "$data/$set.valid.jsonl" --split valid --unseen-functions exclude >&2
    [[ $set == snips ]] ||
      "$elms" tasks --from $set --in "$(source_of $set)" -o "$data/$set.unseen.jsonl" --split valid --unseen-functions only >&2
  done
  "$elms" tasks --from octopus --in "$(source_of octopus)" -o "$data/octopus.jsonl" >&2
  # Text to predict: stories, requests, Wikipedia, one behind the other, so that nearly no window holds two kinds.
  cat "$data"/{snips,clinc150,banking77,hwu64}.valid.jsonl | shuf -n 40 --random-source=<(yes) | python3 -c '
import json, sys
stories, wiki = (open(path, encoding="utf-8", errors="replace").read() for path in sys.argv[1:3])
tasks = "".join(item["prompt"] + item["choices"][item["answer"]] + "\n\n" for item in map(json.loads, sys.stdin))
print(stories[:8200], tasks[:8500], wiki[:6500], sep="\n")' "$data/stories.held.txt" "$data/wiki.held.txt" >"$data/held.txt"
  # What units are judged by: some of everything that was trained on, as text, the kinds in turn.
  shuf -n 60 --random-source=<(yes) "$data/turns.jsonl" | python3 -c '
import json, sys
stories, wiki = (open(path, encoding="utf-8", errors="replace").read()[:40000] for path in sys.argv[1:3])
tasks = "".join(item["prompt"] + item["completion"] + "\n\n" for item in map(json.loads, sys.stdin))
parts = 40
cut = lambda text: [text[i * len(text) // parts:(i + 1) * len(text) // parts] for i in range(parts)]
print("\n".join("\n".join(kinds) for kinds in zip(cut(stories), cut(wiki), cut(tasks))))' \
    "$data/stories.train.txt" "$data/wiki.train.txt" >"$data/calibration.txt"
}

make_vocabulary() {
  head -c 5000000 "$data/wiki.train.txt" >"$data/wiki.vocab.txt"
  "$elms" vocab --text "$data/stories.train.txt" "$data/wiki.vocab.txt" --jsonl "$data/plain.jsonl" --size 4096 \
    -o "$work/vocab.gguf"
}

# train STAGE SHARE DATA OPTION...: a part of the time; what is done already stays.
train() {
  local stage=$1 share=$2 sources=$3 resume=()
  shift 3
  [[ ! -f $work/$stage.gguf ]] || return 0
  [[ ! -f $work/$stage.ckpt.gguf ]] || resume=(--resume)
  "$elms" train --name elms-mini --data "$sources" --length 512 --batch-rows 8 --warmup 30 --type f32 \
    --minutes "$(awk "BEGIN { print $minutes * $share }")" --checkpoint "$work/$stage.ckpt.gguf" --checkpoint-every 100 \
    "${resume[@]}" --plot "$work/$stage.svg" --json -o "$work/$stage.gguf" "$@" >"$work/$stage.json"
}

# Every token of a prompt is learnt at first; later the answers, which would drown among texts if rows did not count the same.
train_model() {
  local stories=$data/stories.train.txt wiki=$data/wiki.train.txt
  train language 0.2 "$stories:2,$wiki:2,$data/plain.jsonl:4:loss=all,$data/arguments.jsonl:1:loss=all" --lr 2.5e-3 \
    --min-lr-share 0.4 --vocab "$work/vocab.gguf" --shape "$shape"
  train names 0.25 "$data/turns.jsonl:6:loss=answers,$data/plain.jsonl:1.5:loss=all,$data/arguments.jsonl:1:loss=answers,$stories:1.5,$wiki:0.7" \
    --balance rows --lr 2e-3 --min-lr-share 0.5 --init "$work/language.gguf"
  train descriptions 0.55 "$data/aliased.jsonl:6:loss=answers,$data/turns.jsonl:1.5:loss=answers,$data/plain.jsonl:0.8:loss=all,$data/arguments.jsonl:0.8:loss=answers,$stories:1.6,$wiki:0.5" \
    --balance rows --lr 1.8e-3 --min-lr-share 0.03 --init "$work/names.gguf"
}

# Units in order, levels, and all widths trained together.
make_elastic() {
  local resume=()
  [[ -f $work/cut.gguf ]] ||
    "$elms" elasticize "$work/descriptions.gguf" -o "$work/cut.gguf" --calib "$data/calibration.txt" \
      --importance taylor,flap --allocation search --search-tokens 2048 --levels "$levels" --type q8_0 --json >"$work/cut.json"
  [[ ! -f $work/nested.ckpt.gguf ]] || resume=(--resume)
  "$elms" recover "$work/cut.gguf" -o "$work/nested.gguf" --method nested --balance rows --ce 0.3 --lr 5e-4 \
    --data "$data/turns.jsonl:4:loss=answers,$data/aliased.jsonl:2:loss=answers,$data/arguments.jsonl:0.7:loss=answers,$data/stories.train.txt:2,$data/wiki.train.txt:1" \
    --length 512 --batch-rows 8 --minutes "$(awk "BEGIN { print $minutes * 0.08 }")" --checkpoint "$work/nested.ckpt.gguf" \
    --checkpoint-every 50 "${resume[@]}" --json >"$work/nested.json"
}

# What the planner is to believe of widths and keep ratios.
measure_quality() {
  local set path
  while read -r set path; do
    "$elms" tasks --from "$set" --in "$shared/$path" -o "$data/quality.$set.jsonl" --split train --unseen-functions exclude \
      --seed 8 --functions 8 --few-shot 0-2 --max-lines 60 >&2
  done <<<"snips snips
clinc150 clinc150/data_train_val.json
banking77 banking77/train.csv
hwu64 hwu64"
  "$elms" eval quality "$work/nested.gguf" --refiner "$root/examples/models/elms-refiner.gguf" -t 1 \
    --tasks "$data"/quality.{snips,clinc150,banking77,hwu64}.jsonl -o "$work/elms-mini.gguf" >&2
}

[[ -f $data/held.txt && -f $data/calibration.txt ]] || make_data
[[ -f $work/vocab.gguf ]] || make_vocabulary
[[ $minutes != 0 ]] || exit 0
train_model
make_elastic
measure_quality
