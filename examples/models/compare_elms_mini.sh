#!/usr/bin/env bash
# Cuts elms-mini by seven recipes to the same costs and judges them: the tables and the plot of COMPARE.md.
# usage: compare_elms_mini.sh WORK_DIR      (the data of make_elms_mini.sh WORK_DIR 0 are made where they are missing)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
elms=${ELMS:-$here/../../build/release/src/cli/elms}
work=${1:?usage: compare_elms_mini.sh WORK_DIR}
data=$work/data

[[ -f $data/held.txt && -f $data/calibration.txt ]] || "$here/make_elms_mini.sh" "$work" 0
"$elms" extract "$here/elms-mini.gguf" --width 1.0 -o "$work/elms-mini-full.gguf"
"$elms" eval compare "$work/elms-mini-full.gguf" --type q8_0 --text "$data/held.txt" --max-tokens 6144 \
  --calib "$data/calibration.txt" --task "$data/snips.valid.jsonl" --task "$data/clinc150.valid.jsonl" --max-lines 100 \
  --recover-data "$data/turns.jsonl:3:loss=answers,$data/stories.train.txt:1,$data/wiki.train.txt:0.5" \
  --recover-steps 20 --recover-rows 4 --recover-length 256 --recover-balance rows \
  --html "$work/compare.html" --plot "$work/compare.svg" --json >"$work/compare.json"
