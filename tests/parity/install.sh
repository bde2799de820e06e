#!/usr/bin/env bash
# install.sh TARGET_DIR: llama.cpp as prebuilt for Node.js, at the version that package.json pins, below TARGET_DIR.
# About 90 MB instead of 700: of the optional packages, which are the binaries for every system and GPU, only the CPU
# one for this machine. Does nothing where that is installed already.
set -euo pipefail
target=${1:?usage: install.sh TARGET_DIR}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

version=$(sed -nE 's/.*"node-llama-cpp": *"([^"]+)".*/\1/p' "$here/package.json")
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=linux-x64 ;;
  Linux-aarch64) platform=linux-arm64 ;;
  Linux-armv7l) platform=linux-armv7l ;;
  Darwin-arm64) platform=mac-arm64-metal ;;
  Darwin-x86_64) platform=mac-x64 ;;
  *) echo "install.sh: no prebuilt llama.cpp for $(uname -s) on $(uname -m)" >&2; exit 1 ;;
esac

installed() { grep -qs "\"version\": \"$version\"" "$target/node_modules/$1/package.json"; }
if installed node-llama-cpp && installed "@node-llama-cpp/$platform"; then exit 0; fi

echo "installing: llama.cpp for Node.js, into $target"
mkdir -p "$target"
cp "$here/package.json" "$target/package.json"
npm --prefix "$target" install --no-save --no-package-lock --omit=optional --ignore-scripts --no-audit --no-fund \
  --loglevel=error "node-llama-cpp@$version" "@node-llama-cpp/$platform@$version" </dev/null
