#!/usr/bin/env bash
# The two commands of README.md. Installs what is missing, builds, and runs the demo or the tests.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Tools, as command:package. A command that is there is used, wherever it came from.
build_tools=(g++:g++ cmake:cmake ninja:ninja-build ccache:ccache pkg-config:pkg-config)
test_tools=(aarch64-linux-gnu-g++:g++-aarch64-linux-gnu qemu-aarch64-static:qemu-user-static
            x86_64-w64-mingw32-g++:g++-mingw-w64-x86-64-posix clang++:clang libclang-rt-dev
            strace:strace dpkg-shlibdeps:dpkg-dev)
libraries=(libeigen3-dev nlohmann-json3-dev libcli11-dev catch2 libxnnpack-dev libpthreadpool-dev libcpuinfo-dev
           libutf8proc-dev libsentencepiece-dev)

usage() {
  cat <<TEXT
usage: cmake/bootstrap.sh demo
       cmake/bootstrap.sh test [native|qemu|asan|fuzz|tsan]...
       cmake/bootstrap.sh --help

demo  builds elms, makes a model elastic, and lets it answer one prompt at four widths.
test  builds and tests elms: native, on three emulated ARM CPUs, under AddressSanitizer and UBSan, fuzzed for a
      minute a target, under ThreadSanitizer. Naming one or more of these stages runs only those.

Both install the Debian packages they need and do not find (as root, or with sudo) and build below build/.
TEXT
}

fail() {
  echo "bootstrap.sh: $*" >&2
  exit 1
}

# Sets `missing` to the packages that the given tools and libraries still need.
find_missing() {
  missing=()
  local entry
  for entry in "$@"; do
    if [[ $entry == *:* ]]; then
      command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
    elif [[ $(dpkg-query -W -f='${db:Status-Status}' "$entry" 2>/dev/null) != installed ]]; then
      missing+=("$entry")
    fi
  done
}

install_missing() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not Debian or Ubuntu: install the counterparts of these packages yourself: ${*#*:}"
    return
  fi
  find_missing "$@"
  [[ ${#missing[@]} -gt 0 ]] || return 0
  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || fail "not root and no sudo; have installed: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  local package installable=()
  for package in "${missing[@]}"; do
    # Where there is no such package, clang brings its runtime along.
    [[ $package == libclang-rt-dev ]] && ! apt-cache show "$package" >/dev/null 2>&1 && continue
    installable+=("$package")
  done
  echo "installing: ${installable[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${installable[@]}" </dev/null
}

# The independent reference, llama.cpp as prebuilt for Node.js. Its tests skip, and say so, where it is not there.
install_reference() {
  local node_major
  node_major=$(node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/') || true
  if [[ ${node_major:-0} -lt 20 ]] || ! command -v npm >/dev/null; then
    echo "no Node.js 20 with npm here: the comparison with llama.cpp will be skipped"
    return
  fi
  "$root/tests/parity/install.sh" "$root/build/peers" ||
    echo "llama.cpp could not be installed: the comparison with it will be skipped"
}

check_cmake() {
  local version
  version=$(cmake --version | sed -nE 's/^cmake version ([0-9]+\.[0-9]+).*/\1/p')
  [[ $(printf '%s\n' 3.25 "$version" | sort -V | head -n 1) == 3.25 ]] ||
    fail "cmake 3.25 or newer is needed for the presets; $(command -v cmake) is $version"
}

main() {
  local command=${1:-}
  [[ $# -eq 0 ]] || shift
  case $command in
    demo)
      [[ $# -eq 0 ]] || fail "demo takes no argument: $*"
      install_missing "${build_tools[@]}" "${libraries[@]}"
      check_cmake
      exec "$root/cmake/demo.sh"
      ;;
    test)
      local stage
      for stage in "$@"; do
        [[ $stage =~ ^(native|qemu|asan|fuzz|tsan)$ ]] || fail "no such stage: $stage (native, qemu, asan, fuzz, tsan)"
      done
      install_missing "${build_tools[@]}" "${libraries[@]}" "${test_tools[@]}"
      check_cmake
      install_reference
      exec "$root/cmake/run_tests.sh" "$@"
      ;;
    -h | --help | help) usage ;;
    '')
      usage >&2
      exit 2
      ;;
    *) fail "no such command: $command (demo, test, --help)" ;;
  esac
}

main "$@"
