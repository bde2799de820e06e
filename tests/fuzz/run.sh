#!/usr/bin/env bash
# usage: tests/fuzz/run.sh NAME SECONDS [RUNS [MAX_BYTES]]      (RUNS: executions at most; default: any number)
# Runs a fuzzer of the preset fuzz on a working corpus, $ELMS_FUZZ_WORK/NAME (default: build/fuzzing/NAME), which takes in
# what is in tests/fuzz/corpus/NAME and keeps what it finds. Prints what was reached in one line. Where an input ends the
# fuzzer, prints its log, keeps the input in build/crashes and fails.
# Millions of executions take half the time with ELMS_FUZZ_PRESET=fuzz-long, without stacks of allocations
# (ASAN_OPTIONS=malloc_context_size=0:quarantine_size_mb=8) and under `taskset -c N`, where files are unmapped faster.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[[ $# -ge 2 ]] || { sed -n 2p "${BASH_SOURCE[0]}" >&2; exit 2; }
name=$1 seconds=$2 runs=${3:--1} max_bytes=${4:-}
fuzzer=$root/build/${ELMS_FUZZ_PRESET:-fuzz}/tests/fuzz/fuzz_$name
work=${ELMS_FUZZ_WORK:-$root/build/fuzzing}
corpus=$work/$name log=$work/$name.log crashes=$root/build/crashes

if [[ -z $max_bytes ]]; then  # the longest input that is worth trying: files have their sizes, the rest is best short
  case $name in
    model_file | refiner_file) max_bytes=65536 ;;
    gguf | safetensors | tokenizer) max_bytes=8192 ;;
    refine | c_api) max_bytes=1024 ;;  # many short ones: the work is in the tokens
    *) max_bytes=4096 ;;
  esac
fi

mkdir -p "$corpus" "$crashes"
status=0
"$fuzzer" -max_len="$max_bytes" -max_total_time="$seconds" -runs="$runs" -timeout=60 -rss_limit_mb=4096 -entropic=0 -print_funcs=0 \
  -print_final_stats=1 -artifact_prefix="$crashes/$name-" "$corpus" "$root/tests/fuzz/corpus/$name" >"$log" 2>&1 || status=$?
if [[ $status -ne 0 ]]; then
  cat "$log"
  echo "fuzz_$name: FAILED; the input is in $crashes"
  exit 1
fi
awk -v name="fuzz_$name" '
  /^stat::number_of_executed_units/ { runs = $2 }
  /^stat::average_exec_per_sec/ { rate = $2 }
  / cov: / { for (i = 1; i < NF; ++i) { if ($i == "cov:") edges = $(i + 1); if ($i == "corp:") corpus = $(i + 1) } }
  END { printf "%s: %d executions, %d a second, %s inputs, %d edges\n", name, runs, rate, corpus, edges }' "$log"
