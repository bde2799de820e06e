#!/usr/bin/env bash
# Builds elms, lets an elastic model answer one prompt at four widths, and measures what each width costs in quality.
# What must be installed is bootstrap.sh's business.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=$(realpath -m "${ELMS_SHARED_DIR:-$root/../shared}")
out=$root/build/demo
elms=$root/build/release/src/cli/elms
widths=(1.0 0.75 0.5 0.3)
column_width=28
stop=() # where an answer ends

build() {
  mkdir -p "$root/build"
  local log=$root/build/release.log
  echo "== building (release)"
  (cd "$root" && cmake --preset release >"$log" 2>&1) || { cat "$log"; return 1; }
  (cd "$root" && cmake --build --preset release --parallel "$(nproc)" --target elms_cli elms_mobile_agent -- --quiet)
}

# Sets `model` to an elastic model, and the prompt that it gets.
choose_model() {
  model=$root/examples/models/elms-mini.gguf
  if [[ -f $model ]]; then
    # A request among described functions: the model has to read the list. See examples/models/TASKS.md.
    prompt="Choose the function that fits the request.
get_weather: tell the forecast for a place
alarm: set a clock to ring at a time
play_music: start a song or an album
directions: show the way to a place
book_restaurant: reserve a table for some people
make_call: ring someone on the phone
Request: will it rain in oslo this weekend
Function:"
    shown="will it rain in oslo this weekend"
    n_tokens=12 stop=(--stop $'\n')
    echo "== model: elms-mini, which this project trained; it picks the function for a request"
    return
  fi
  make_elastic
}

# Without a model in the repository: one that is made elastic first.
make_elastic() {
  local plain text part_bytes=100000
  model=$out/elastic.gguf n_tokens=64
  if [[ -f $shared/models/stories260K.gguf ]]; then
    plain=$shared/models/stories260K.gguf
    text=$shared/data/tinystories/tinystories_sample_2MB.txt
    prompt="Once upon a time, there was a little girl who"
    echo "== model: stories260K, a small trained story teller, from $shared"
  else
    plain=$out/random.gguf
    text=$root/LICENSE
    prompt="Once upon a time"
    echo "== model: random weights, since there is no $shared/models/stories260K.gguf; its text means nothing"
    "$elms" synth --shape '{"architecture":"llama","d_model":256,"n_layers":6,"n_heads":8,"n_kv_heads":4,"d_ff":768,"n_vocab":512}' \
      --type f32 -o "$plain"
  fi
  shown=$prompt
  [[ -f $text ]] || { echo "demo.sh: no $text" >&2; return 1; }
  local half_bytes=$(($(wc -c <"$text") / 2))
  [[ $half_bytes -gt $part_bytes ]] || part_bytes=$half_bytes
  head -c "$part_bytes" "$text" >"$out/calibration.txt"
  tail -c "$part_bytes" "$text" >"$out/judged.txt"
  echo
  echo "== making it elastic: units are ordered by importance, every width is then a prefix"
  "$elms" elasticize "$plain" -o "$model" --calib "$out/calibration.txt" --type f32
}

json_get() { cmake "-DFILE=$1" "-DPATHS=$2" -P "$root/cmake/json_get.cmake"; }

# Prints files side by side in columns, word-wrapped. Bytes that are no ASCII print as '?', so that columns stay straight.
side_by_side() {
  local file wrapped=()
  for file in "$@"; do
    LC_ALL=C tr -c '[:print:]\n' '?' <"$file" | fold -s -w $((column_width - 2)) >"$file.wrapped"
    wrapped+=("$file.wrapped")
  done
  pr -m -t -w $((column_width * $#)) "${wrapped[@]}" | expand | sed 's/ *$//'
}

generate() {
  local width columns=() used bytes ttft tpot
  echo "== \"$shown\" at ${#widths[@]} widths of one copy of the weights"
  for width in "${widths[@]}"; do
    local json=$out/run-$width.json column=$out/run-$width.txt
    "$elms" run "$model" --prompt "$prompt" --width "$width" -n "$n_tokens" "${stop[@]}" --json >"$json"
    { read -r used && read -r bytes && read -r ttft && read -r tpot; } < <(
      json_get "$json" "width_used|bytes_per_token|ttft_ms|tpot_ms")
    {
      printf 'width %s (used %.2f)\n' "$width" "$used"
      printf '%.2f ms a token\n' "$tpot"
      printf '%d.%d MB read for a token\n' $((bytes / 1000000)) $((bytes / 100000 % 10))
      printf 'first token: %.1f ms\n\n' "$ttft"
      json_get "$json" text
    } >"$column"
    columns+=("$column")
  done
  echo
  side_by_side "${columns[@]}"
}

# What each width costs in quality.
judge() {
  local list
  list=$(IFS=,; echo "${widths[*]}")
  if [[ $model == "$root"/examples/* ]]; then
    echo "== right answers of 48 such requests, 8 functions in each prompt"
    "$elms" eval task "$model" --task "$root/examples/models/phone_tasks.jsonl" --width "$list"
  else
      echo "== what each width costs: perplexity on text that the calibration has not seen (lower is better)"
    "$elms" eval ppl "$model" --text "$out/judged.txt" --widths "$list"
  fi
}

# The same request with four targets: the planner chooses width and keep ratio for each.
hurry() {
  local refiner=$root/examples/models/elms-refiner.gguf
  [[ $model == "$root"/examples/* && -f $refiner ]] || return 0
  echo
  echo "== one request with four targets, as shares of what the full model takes here (examples/mobile_agent)"
  echo "   !: later than its target. infeasible: nothing was predicted to be in time, so what is worth most for its lateness ran"
  "$root/build/release/examples/mobile_agent/elms_mobile_agent" "$model" "$refiner" 3 "$shown"
}

main() {
  build
  mkdir -p "$out"
  choose_model
  echo
  generate
  echo
  judge
  hurry
}

main
