#!/usr/bin/env bash
# The tables of SLO.md: elms-mini's held-out requests with targets, served by elms and by others, over several traces.
# usage: measure_slo.sh WORK_DIR [ELMS_OPTION...]     (for example --cpu-time -t 1, or --noise -t 2)
# SEEDS="1 2 3 4 5" and STRATEGIES may be set. What was measured already stays: a folder for each set of options.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shared=$(realpath -m "${ELMS_SHARED_DIR:-$root/../shared}")/data
elms=${ELMS:-$root/build/release/src/cli/elms}
models=$root/examples/models
work=${1:?usage: measure_slo.sh WORK_DIR [ELMS_OPTION...]}
shift
seeds=${SEEDS:-1 2 3 4 5}
strategies=${STRATEGIES:-elms-table,elms,elms-fixed,elms-offline,full,static,width-only,prompt-only,paper-rule,layer-dropping,random,oracle}
mkdir -p "$work"

tasks=()
while read -r set path; do
  [[ -f $work/$set.jsonl ]] ||
    "$elms" tasks --from "$set" --in "$shared/$path" -o "$work/$set.jsonl" --split valid --unseen-functions exclude \
      --functions 8 --few-shot 0-2 --max-lines 300 --seed 7 >&2
  tasks+=("$work/$set.jsonl")
done <<<"snips snips
clinc150 clinc150/data_train_val.json
banking77 banking77/train.csv
hwu64 hwu64"

results=()
for seed in $seeds; do
  result=$work/seed_$seed.json
  [[ -s $result ]] ||
    { "$elms" eval slo --model "$models/elms-mini.gguf" --refiner "$models/elms-refiner.gguf" --tasks "${tasks[@]}" \
      --requests 240 --trace-seed "$seed" --strategies "$strategies" --html "$work/seed_$seed.html" --plot "$work/seed_$seed.svg" "$@" --json \
      >"$result.part" && mv "$result.part" "$result"; }
  results+=("$result")
done

# Means over all requests of all traces.
jq -rs '
  def rounded: . * 1000 | round / 1000;
  def mean(field): (map(field * .n) | add) / (map(.n) | add) | rounded;
  ([.[0].strategies[0].per_class[].name]) as $classes
  | ["strategy", "right and in time", "right", "in time", "of feasible", "of promised", "TPOT p99"] + $classes,
    [range(7 + ($classes | length)) | "---"],
    ([.[].strategies[]] | group_by(.name)[]
     | . as $runs
     | [.[0].name, mean(.accuracy_in_time), mean(.accuracy), mean(.attained),
        ((map(.attained_of_feasible * .n_feasible) | add) / ([map(.n_feasible) | add, 1] | max) | rounded),
        ((map(.attained_of_promised * .n_promised) | add) / ([map(.n_promised) | add, 1] | max) | rounded),
        (map(.tpot_p99_over_target) | add / length | rounded)]
       + [$classes[] as $class | [$runs[].per_class[] | select(.name == $class)] | mean(.accuracy_in_time)])
  | "| " + (map(tostring) | join(" | ")) + " |"' "${results[@]}"
