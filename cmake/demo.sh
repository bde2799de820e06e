#!/usr/bin/env bash
# Builds elms, makes a model elastic, lets it continue one prompt at four widths, and measures what each width costs in
# quality. What must be installed is bootstrap.sh's business.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=$(realpath -m "${ELMS_SHARED_DIR:-$root/../shared}")
out=$root/build/demo
elms=$root/build/release/src/cli/elms
widths=(1.0 0.75 0.5 0.3)
column_width=28

build() {
  mkdir -p "$root/build"
  local log=$root/build/release.log
  echo "== building (release)"
  (cd "$root" && cmake --preset release >"$log" 2>&1) || { cat "$log"; return 1; }
  (cd "$root" && cmake --build --preset release --parallel "$(nproc)" --target elms_cli -- --quiet)
}

# Sets `model`, and the texts to calibrate with and to judge on, which do not overlap.
choose_model() {
  local text
  if [[ -f $shared/models/stories260K.gguf ]]; then
    model=$shared/models/stories260K.gguf
    text=$shared/data/tinystories/tinystories_sample_2MB.txt
    prompt="Once upon a time, there was a little girl who"
    echo "== model: stories260K, a small trained story teller, from $shared"
  else
    model=$out/random.gguf
    text=$root/LICENSE
    prompt="Once upon a time"
    echo "== model: random weights, since there is no $shared/models/stories260K.gguf; text and perplexity mean nothing"
    "$elms" synth --shape '{"architecture":"llama","d_model":256,"n_layers":6,"n_heads":8,"n_kv_heads":4,"d_ff":768,"n_vocab":512}' \
      --type f32 -o "$model"
  fi
  [[ -f $text ]] || { echo "demo.sh: no $text" >&2; return 1; }
  local half_bytes=$(($(wc -c <"$text") / 2)) part_bytes=100000
  [[ $half_bytes -gt $part_bytes ]] || part_bytes=$half_bytes
  head -c "$part_bytes" "$text" >"$out/calibration.txt"
  tail -c "$part_bytes" "$text" >"$out/judged.txt"
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
  echo "== \"$prompt ...\" at ${#widths[@]} widths of one copy of the weights"
  for width in "${widths[@]}"; do
    local json=$out/run-$width.json column=$out/run-$width.txt
    "$elms" run "$out/elastic.gguf" --prompt "$prompt" --width "$width" -n 64 --json >"$json"
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

main() {
  build
  mkdir -p "$out"
  choose_model
  echo
  echo "== making it elastic: units are ordered by importance, every width is then a prefix"
  "$elms" elasticize "$model" -o "$out/elastic.gguf" --calib "$out/calibration.txt" --type f32
  echo
  generate
  echo
  echo "== what each width costs: perplexity on text that the calibration has not seen (lower is better)"
  local list
  list=$(IFS=,; echo "${widths[*]}")
  "$elms" eval ppl "$out/elastic.gguf" --text "$out/judged.txt" --widths "$list"
}

main
