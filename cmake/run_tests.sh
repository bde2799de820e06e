#!/usr/bin/env bash
# usage: run_tests.sh [native|qemu|asan|fuzz|tsan]...      (default: all, in this order)
# Builds and tests elms in stages, stops at the first one that fails, and ends with one line of counts over all stages.
# What must be installed is bootstrap.sh's business.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc)
fuzz_seconds=${ELMS_FUZZ_SECONDS:-60}
passed=0 failed=0 skipped=0
summaries=() # one line a stage, printed at the end

# The CPUs that qemu plays, each with the kernels that are the best for it, and the rooms that are tested there: on all
# of them what computes with those kernels; once also what is the same on every ARM CPU. Emulated float code is a hundred
# times slower, so random models and whole runs of the command line tool (offline, cli, parity) are left to this machine.
arm_rooms='core|kernels|model|model_threads|sampling'
arm_tiers=("cortex-a72:neon:$arm_rooms" "cortex-a76:dotprod:$arm_rooms" "max:i8mm:$arm_rooms|allocation|io|text|package")

seconds() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }

finish() {
  local status=$?
  echo
  printf '%s\n' "${summaries[@]}"
  echo "$passed passed, $failed failed, $skipped skipped"
  exit "$status"
}

# build PRESET [TARGET]
build() {
  local preset=$1 target=${2:-all} log=$root/build/$1.log
  mkdir -p "$root/build"
  if ! cmake --preset "$preset" >"$log" 2>&1; then
    cat "$log"
    return 1
  fi
  cmake --build --preset "$preset" --target "$target" --parallel "$jobs" -- --quiet
}

# Reads ctest's JUnit file: prints "passed failed skipped", then one "name: reason" for each skipped test.
summarize() {
  awk '
    function plain(text) {
      gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&quot;/, "\"", text); gsub(/&apos;/, "\x27", text)
      gsub(/&amp;/, "\\&", text)
      return text
    }
    /<testcase / {
      name = $0; sub(/.*<testcase name="/, "", name); sub(/".*/, "", name)
      status = $0; sub(/.* status="/, "", status); sub(/".*/, "", status)
      is_skip = 0
      if (status == "run") ++n_passed
    }
    /<skipped message="SKIP_/ { is_skip = 1; ++n_skipped; reasons[n_skipped] = name }
    is_skip && /SKIPPED: / { text = $0; sub(/.*SKIPPED: /, "", text); reasons[n_skipped] = name ": " text; is_skip = 0 }
    /<testcase / { ++n_all }
    END {
      print n_passed + 0, n_all - n_passed - n_skipped, n_skipped + 0
      for (i = 1; i <= n_skipped; ++i) print plain(reasons[i])
    }' "$1"
}

# run_ctest PRESET [COMMAND-PREFIX...]: runs the tests of a preset and adds up their results. Where `rooms` is set, only
# tests with one of these labels run.
run_ctest() {
  local preset=$1 junit=$root/build/$1/junit.xml status=0
  shift
  rm -f "$junit"
  (cd "$root" && "$@" ctest --preset "$preset" --parallel "$jobs" ${rooms:+-L "^($rooms)\$"} --output-junit "$junit" </dev/null) |
    grep --line-buffered -vE '^ *Start +[0-9]+: |\.\.\. +Passed +[0-9.]+ sec|\*\*\*Skipped|^ *[0-9]+ - .*\(Skipped\)$' ||
    status=${PIPESTATUS[0]}
  [[ -f $junit ]] || return 1
  local n_passed n_failed n_skipped reasons
  { read -r n_passed n_failed n_skipped && reasons=$(cat); } < <(summarize "$junit")
  ((passed += n_passed, failed += n_failed, skipped += n_skipped, 1))
  [[ -z $reasons ]] || sed 's/^/skipped: /' <<<"$reasons"
  sed -n 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&apos;/'"'"'/g; s/&amp;/\&/g; s/.*SHOWN: /shown: /p' "$junit"
  [[ $status -eq 0 && $n_failed -eq 0 ]]
}

# The stages are called where `set -e` does not reach, so each step is chained.
test_native() { build release && run_ctest release; }

test_qemu() {
  "$root/cmake/arm64_sysroot.sh" && build aarch64-qemu elms_arm_tests || return 1
  local tier cpu isa rooms
  for tier in "${arm_tiers[@]}"; do
    IFS=: read -r cpu isa rooms <<<"$tier"
    echo "-- $cpu, kernels forced to $isa"
    run_ctest aarch64-qemu env "ELMS_QEMU_CPU=$cpu" "ELMS_ISA=$isa" || return 1
  done
}

# What reads files and prompts, and what an app runs.
test_asan() {
  local rooms='core|io.*|text|kernels|model|model_threads|sampling|refine|encoder|planner|service|c_api|offline_eval|tasks'
  build asan elms_sanitizer_tests && run_ctest asan
}

# Each fuzzer counts as a test; they share the CPUs. The working corpora of long runs are left as they are.
test_fuzz() {
  local work=$root/build/fuzz/stage name names=() status=0 n_passed
  build fuzz elms_fuzzers || return 1
  for name in "$root"/build/fuzz/tests/fuzz/fuzz_*; do
    names+=("${name##*/fuzz_}")
  done
  rm -rf "$work"
  mkdir -p "$work"
  printf '%s\n' "${names[@]}" | ELMS_FUZZ_WORK=$work xargs -P ${#names[@]} -I {} sh -c \
    '"$0"/tests/fuzz/run.sh "$1" "$2" && touch "$ELMS_FUZZ_WORK/$1.passed"' "$root" {} "$fuzz_seconds" || status=$?
  n_passed=$(find "$work" -name '*.passed' | wc -l)
  ((passed += n_passed, failed += ${#names[@]} - n_passed, 1))
  [[ $status -eq 0 ]]
}

# ThreadSanitizer of this age cannot map its shadow where the kernel randomises addresses widely.
test_tsan() {
  local fixed_addresses=()
  if setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
    fixed_addresses=(setarch "$(uname -m)" --addr-no-randomize)
  fi
  build tsan elms_threaded_tests && run_ctest tsan "${fixed_addresses[@]}"
}

run_stage() {
  local stage=$1 title=$2 start=$SECONDS before=("$passed" "$failed" "$skipped") outcome=ok
  printf '\n== %s: %s\n' "$stage" "$title"
  if ! "test_$stage"; then
    outcome=FAILED
    # What failed before a test could: the build.
    [[ $failed -gt ${before[1]} ]] || failed=$((failed + 1))
  fi
  summaries+=("$(printf '%-6s %-6s %s passed, %s failed, %s skipped in %s' "$stage" "$outcome" \
    $((passed - before[0])) $((failed - before[1])) $((skipped - before[2])) "$(seconds $((SECONDS - start)))")")
  [[ $outcome == ok ]]
}

trap finish EXIT
cd "$root"
[[ $# -gt 0 ]] || set -- native qemu asan fuzz tsan
for stage in "$@"; do
  case $stage in
    native) title="this machine" ;;
    qemu) title="64-bit ARM, emulated" ;;
    asan) title="AddressSanitizer and UndefinedBehaviorSanitizer" ;;
    fuzz) title="libFuzzer, $fuzz_seconds seconds a target" ;;
    tsan) title="ThreadSanitizer, threaded tests" ;;
    *) echo "run_tests.sh: no such stage: $stage" >&2; exit 2 ;;
  esac
  run_stage "$stage" "$title" || exit 1
done
