#!/usr/bin/env bash
# usage: count_instructions.sh [neon|dotprod|i8mm]...      (default: all)
# Prints, as the Markdown table in kernels/README.md, what the quantised ARM kernels cost for 1,000 multiply-accumulates
# at K = 2048: instructions counted under qemu (what one more call executes, everything included), those of them that
# multiply, and the cycles that llvm-mca expects of the inner loop when all data is in the first-level cache.
# Needs a cross compiler for 64-bit ARM and qemu's user mode emulator, but none of the libraries that elms links.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/build/count
program=$build/run_gemm
k=2048
mca_cpus=(neoverse-n1 neoverse-v1 cortex-a510)
mca_iterations=100

missing=0
need() { # need COMMAND PACKAGE
  command -v "$1" >/dev/null && return
  echo "count_instructions.sh: $1 is missing (Debian: apt-get install $2)" >&2
  missing=1
}
need aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
need aarch64-linux-gnu-objdump binutils-aarch64-linux-gnu
need qemu-aarch64-static qemu-user-static
need cmake cmake
need ninja ninja-build
((missing == 0)) || exit 1
mca=$(command -v llvm-mca-19 || true)
[[ -n $mca ]] || echo "count_instructions.sh: no cycles: llvm-mca-19 is missing (apt-get install llvm-19)" >&2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cmake -S "$root/bench/arm" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
  -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ >"$scratch/log" &&
  cmake --build "$build" >"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
# "ADDRESS<tab>MNEMONIC<tab>OPERANDS", without what objdump explains.
aarch64-linux-gnu-objdump -d --no-show-raw-insn "$program" |
  sed -nE 's/^ *([0-9a-f]+):\t/\1\t/p' | sed -E 's/ *(<.*>|\/\/.*)//g' >"$scratch/code"

# How often each address is executed by a run with so many calls: "ADDRESS TIMES". The emulator logs every instruction
# when translated blocks hold one and are not chained.
executed() { # executed CPU ARGUMENT...
  local cpu=$1
  shift
  qemu-aarch64-static -cpu "$cpu" -singlestep -d nochain,exec -D /dev/fd/3 "$program" "$@" 3>&1 >/dev/null |
    awk -F/ '{ ++times[$2] } END { for (pc in times) { address = pc; sub(/^0+/, "", address); print address, times[pc] } }'
}

# Cycles of the inner loop for 1,000 multiply-accumulates on one CPU, or a dash where it cannot run or be predicted.
predicted() { # predicted CPU ISA LOOP_TIMES MACS
  local cycles
  [[ -n $mca && $1:$2 != neoverse-n1:i8mm ]] && # which it does not have
    cycles=$("$mca" -mtriple=aarch64-linux-gnu -mcpu="$1" -iterations=$mca_iterations "$scratch/loop.s" 2>/dev/null |
      awk '/^Total Cycles:/ { print $3 }') && [[ -n $cycles ]] &&
    awk -v c="$cycles" -v n="$mca_iterations" -v t="$3" -v m="$4" 'BEGIN { printf "%.1f", 1000 * c / n * t / m }' ||
    printf -- '–'
}

count() { # count ISA CPU FORMAT M N YARDSTICK
  local isa=$1 cpu=$2 format=$3 m=$4 n=$5 yardstick=$6 name macs total multiplies loop_times cells
  name=$(qemu-aarch64-static -cpu "$cpu" "$program" "$isa" "$format" "$m" "$n" $k check)
  macs=$((m * n * k))
  executed "$cpu" "$isa" "$format" "$m" "$n" $k 1 >"$scratch/once"
  executed "$cpu" "$isa" "$format" "$m" "$n" $k 2 >"$scratch/twice"
  # "TIMES<tab>MNEMONIC<tab>OPERANDS" of one call, in the order of addresses.
  awk -F'[ \t]' -v OFS='\t' '
    FILENAME ~ /once$/ { times[$1] -= $2; next }
    FILENAME ~ /twice$/ { times[$1] += $2; next }
    times[$1] > 0 { pc = $1; sub(/^[^\t]*\t/, ""); print times[pc], $0 }' \
    "$scratch/once" "$scratch/twice" "$scratch/code" >"$scratch/call"
  read -r total multiplies loop_times < <(awk -F'\t' '
    { total += $1; weight[$1] += $1 }
    $2 ~ /^(smmla|sdot|smull2?|smlal2?)$/ { multiplies += $1 }
    END { for (t in weight) if (weight[t] > weight[loop]) loop = t; print total, multiplies, loop }' "$scratch/call")
  # The inner loop: what is executed as often as most of the work is. A branch may go anywhere: llvm-mca follows none.
  awk -F'\t' -v OFS='\t' -v t="$loop_times" '
    $1 == t { if ($2 ~ /^(b|b\..*|cbn?z|tbn?z)$/) sub(/[0-9a-f]+ *$/, "0", $3); print "", $2, $3 }' \
    "$scratch/call" >"$scratch/loop.s"
  [[ $isa != i8mm ]] || sed -i '1i .arch_extension i8mm' "$scratch/loop.s"
  cells="\`$name\` | $m"
  cells+=" | $(awk -v t="$total" -v m="$macs" 'BEGIN { printf "%.1f", 1000 * t / m }') | $yardstick"
  cells+=" | $(awk -v t="$multiplies" -v m="$macs" 'BEGIN { printf "%.1f", 1000 * t / m }')"
  for mca_cpu in "${mca_cpus[@]}"; do cells+=" | $(predicted "$mca_cpu" "$isa" "$loop_times" "$macs")"; done
  echo "| $cells |"
}

echo "| kernel | rows | instructions | KleidiAI, int4 | of ours multiply |$(printf ' %s |' "${mca_cpus[@]}")"
echo "|---|---|---|---|---|---|---|---|"
[[ $# -gt 0 ]] || set -- neon dotprod i8mm
for isa in "$@"; do
  case $isa in
    neon) cpu=cortex-a72 gemm=– gemv=– ;;
    dotprod) cpu=cortex-a76 gemm=161 gemv=315 ;;
    i8mm) cpu=max gemm=121 gemv=– ;;
    *) echo "count_instructions.sh: no such kernels: $isa" >&2; exit 2 ;;
  esac
  for format in q8 q4; do count "$isa" "$cpu" "$format" 64 32 "$gemm"; done
  for format in q8 q4; do count "$isa" "$cpu" "$format" 1 256 "$gemv"; done
done
