#!/usr/bin/env bash
# Unpacks Debian's arm64 builds of the libraries that elms links into a folder, for the cross build. The arm64 and amd64
# packages cannot be installed beside each other, so apt works on a state of its own and this machine's is not touched.
# usage: arm64_sysroot.sh [FOLDER]        (default: build/sysroot-arm64)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sysroot=${1:-$root/build/sysroot-arm64}
packages=(libxnnpack0 libxnnpack-dev libpthreadpool0 libpthreadpool-dev libcpuinfo0 libcpuinfo-dev
          libutf8proc2 libutf8proc-dev)
complete=$sysroot/.packages

if [[ -f $complete && $(<"$complete") == "${packages[*]}" ]]; then
  echo "arm64 libraries: $sysroot is complete"
  exit 0
fi
for tool in apt-get dpkg; do
  command -v "$tool" >/dev/null || { echo "arm64_sysroot.sh: needs $tool (Debian or Ubuntu)" >&2; exit 1; }
done

echo "arm64 libraries: fetching ${packages[*]}"
rm -rf "$sysroot"
mkdir -p "$sysroot"
apt_state=$(mktemp -d)
trap 'rm -rf "$apt_state"' EXIT
mkdir -p "$apt_state"/{lists/partial,cache/archives/partial,download}
# apt fetches as the user _apt where it can; that user must be able to write here.
chmod -R a+rwX "$apt_state"
apt_options=(-qq
  -o APT::Architecture=arm64 -o APT::Architectures=arm64
  -o "Dir::State=$apt_state" -o "Dir::State::lists=$apt_state/lists" -o Dir::State::status=/dev/null
  -o "Dir::Cache=$apt_state/cache" -o Acquire::Languages=none
  -o Acquire::Retries=3)
apt-get "${apt_options[@]}" update
(cd "$apt_state/download" && apt-get "${apt_options[@]}" download "${packages[@]}")
for package in "$apt_state"/download/*.deb; do
  dpkg -x "$package" "$sysroot"
done
printf '%s' "${packages[*]}" >"$complete"
echo "arm64 libraries: ready in $sysroot"
