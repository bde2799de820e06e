#!/usr/bin/env bash
# Makes elms-refiner from the texts, sentences and tasks below ../shared/data: its data, its vocabulary, the score head,
# the labels of the decision head, the decision head.
# usage: make_elms_refiner.sh WORK_DIR      (what was cut off goes on). See REFINER.md here.
#   SCORE_STEPS=6000  SHAPE="--d-model 128 --heads 4 --d-ff 512 --layers 4 --shared-layers 2"  LABELS=150 (a task set)
#   MLM_MINUTES=20    masked-LM pre-training first (not for the file that ships: 0)
#   JUDGE=1           accuracy on cut task prompts afterwards, to WORK_DIR/tasks.json and tasks.svg
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shared=$(realpath -m "${ELMS_SHARED_DIR:-$root/../shared}")/data
elms=${ELMS:-$root/build/release/src/cli/elms}
work=${1:?usage: make_elms_refiner.sh WORK_DIR}
data=$work/data
google=$shared/sentence-compression/google10k
shape=${SHAPE:---d-model 128 --heads 4 --d-ff 512 --layers 4 --shared-layers 2}
mkdir -p "$data"

# make_tasks SET PATH: training requests of training functions, for the score head and, drawn again, for the decision head.
make_tasks() {
  "$elms" tasks --from "$1" --in "$2" -o "$data/t.$1.jsonl" --split train --unseen-functions exclude --seed 51 \
    --functions 3-10 --few-shot 0-3 --renamed 0.2 >&2
  "$elms" tasks --from "$1" --in "$2" -o "$data/l.$1.jsonl" --split train --unseen-functions exclude --seed 52 \
    --functions 3-10 --few-shot 0-2 --renamed 0.1 --max-lines "${LABELS:-150}" >&2
}

# Articles of the news sets of T0, each once, whatever the task they were made into.
news_articles() {
  python3 - "$shared/t0" <<'PYTHON'
import glob, json, re, sys

seen = set()
for path in sorted(p for name in ("cnn_dailymail", "xsum", "multi_news", "gigaword", "ag_news")
                   for p in glob.glob(f"{sys.argv[1]}/{name}_*.jsonl")):
    with open(path) as lines:
        for row in map(json.loads, lines):
            article = max(row["prompt"], row["completion"].removesuffix("<|endoftext|>"), key=len)
            text = "\n".join(line for line in article.splitlines() if len(line) >= 80)  # what asks for the task is mostly shorter
            place = re.sub(r"\W", "", text)[60:160]
            if place and place not in seen:
                seen.add(place)
                print(text + "\n")
PYTHON
}

make_data() {
  cat "$shared"/wikipedia-excellent/wiki_* | sed -E '/^<\/?doc/d' >"$data/wiki.txt"
  head -c 3000000 "$data/wiki.txt" >"$data/wiki.vocab.txt"
  head -c 10000000 "$data/wiki.txt" >"$data/wiki.train.txt"
  head -c 1900000 "$shared/tinystories/tinystories_sample_2MB.txt" >"$data/stories.txt"
  news_articles >"$data/news.txt"
  head -n 8200 "$google/sentence_en.txt" | sed 's/$/\n/' >"$data/sentences.mlm.txt" # what follows is kept apart
  make_tasks snips "$shared/snips"
  make_tasks clinc150 "$shared/clinc150/data_train_val.json"
  make_tasks banking77 "$shared/banking77/train.csv"
  make_tasks hwu64 "$shared/hwu64"
  make_tasks sgd "$shared/sgd/train"
  cat "$data"/t.*.jsonl | shuf -n 6000 --random-source=<(yes) >"$data/tasks.jsonl"
  python3 -c '
import json, sys
for item in map(json.loads, sys.stdin): print(item["prompt"] + item["completion"] + "\n")' \
    <"$data/tasks.jsonl" >"$data/tasks.txt"
}

# resume CHECKPOINT: the option that goes on from it.
resume() { [[ ! -f $1 ]] || echo --resume; }

[[ -f $data/tasks.txt ]] || make_data
[[ -f $work/vocab.gguf ]] ||
  "$elms" vocab --wordpiece --size 6000 -o "$work/vocab.gguf" \
    --text "$data/wiki.vocab.txt" "$data/sentences.mlm.txt" "$data/tasks.txt" "$data/stories.txt"
texts="$data/sentences.mlm.txt:3,$data/news.txt:2,$data/wiki.train.txt,$data/tasks.txt,$data/stories.txt:0.5"
begin=(--vocab "$work/vocab.gguf" --embedding-data "$texts" $shape)
if [[ ${MLM_MINUTES:-0} != 0 ]]; then
  [[ -f $work/mlm.gguf ]] ||
    "$elms" train refiner --stage mlm "${begin[@]}" --minutes "$MLM_MINUTES" --batch-rows 12 --length 128 --lr 2e-3 \
      --warmup 60 --dropout 0 --checkpoint "$work/mlm.ckpt.gguf" --checkpoint-every 100 $(resume "$work/mlm.ckpt.gguf") \
      --data "$texts" \
      --plot "$work/mlm.svg" --json -o "$work/mlm.gguf" >"$work/mlm.json"
  begin=(--init "$work/mlm.gguf")
fi
[[ -f $work/score.gguf ]] ||
  "$elms" train refiner --stage score "${begin[@]}" --steps "${SCORE_STEPS:-6000}" --batch-rows 8 --length 192 \
    --lr 2e-3 --min-lr-share 0.02 --embedding-rate 0.1 --warmup 100 --dropout 0.15 --valid-every 250 \
    --checkpoint "$work/score.ckpt.gguf" --checkpoint-every 200 $(resume "$work/score.ckpt.gguf") --sentences "$google/sentence_en.txt" \
    --compressions "$google/compression_en.txt" --tasks "$data/tasks.jsonl" --meetings "$shared/qmsum/Academic/jsonl/train.jsonl" \
    "$shared/qmsum/Committee/jsonl/train.jsonl" --plot "$work/score.svg" --json -o "$work/score.gguf" >"$work/score.json"
[[ -f $work/labels.jsonl ]] ||
  { cat "$data"/l.*.jsonl | shuf --random-source=<(yes) >"$data/labels.tasks.jsonl" &&
    "$elms" eval refiner-labels --model "$work/score.gguf" --lm "$root/examples/models/elms-mini.gguf" \
      --task "$data/labels.tasks.jsonl" -o "$work/labels.part.jsonl" &&
    mv "$work/labels.part.jsonl" "$work/labels.jsonl"; }
[[ -f $work/elms-refiner.gguf ]] ||
  "$elms" train refiner --stage decision --init "$work/score.gguf" --labels "$work/labels.jsonl" --steps "${DECISION_STEPS:-160}" \
    --batch-rows 8 --length 256 --lr 1e-3 --warmup 20 --dropout 0.1 --valid-every 20 --type q8_0 \
    --plot "$work/decision.svg" --calibration-plot "$work/calibration.svg" --json -o "$work/elms-refiner.gguf" \
    >"$work/decision.json"

# judge_task SET PATH: held-out requests of functions that elms-mini knows; it may name any function of the set.
judge_task() {
  "$elms" tasks --from "$1" --in "$2" -o "$data/judge.$1.jsonl" --split valid --unseen-functions exclude --seed 7 \
    --functions 8-10 --few-shot 0-2 --all-names --max-lines 150 >&2
}
if [[ ${JUDGE:-0} != 0 ]]; then
  judge_task banking77 "$shared/banking77/train.csv"
  judge_task hwu64 "$shared/hwu64"
  judge_task clinc150 "$shared/clinc150/data_train_val.json"
  "$elms" eval refiner-tasks --model "$work/elms-refiner.gguf" --lm "$root/examples/models/elms-mini.gguf" \
    --task "$data/judge.banking77.jsonl" "$data/judge.hwu64.jsonl" "$data/judge.clinc150.jsonl" \
    --keep-ratios 1,0.8,0.6,0.5,0.4,0.3,0.2 --svg "$work/tasks.svg" --json >"$work/tasks.json"
fi
