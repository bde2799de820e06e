#!/bin/sh
# usage: size.sh CXX STRIP LIBELMS.a LIMIT_BYTES [LIBRARY...]
# Links the device library as a shared one that needs the given libraries, strips it, and fails above the limit.
set -eu
cxx=$1 strip=$2 archive=$3 limit=$4
shift 4
library=$(mktemp --suffix=.so)
trap 'rm -f "$library"' EXIT
"$cxx" -shared -o "$library" -Wl,--whole-archive "$archive" -Wl,--no-whole-archive "$@"
"$strip" --strip-unneeded "$library"
bytes=$(wc -c <"$library")
echo "SHOWN: size of the stripped library, by $("$cxx" -dumpmachine): $bytes bytes, $(size "$library" | awk 'NR == 2 {
  print "code and constants", $1 ", data", $2 ", zeroed", $3 }'); limit $limit"
[ "$bytes" -le "$limit" ] || { echo "larger than the limit"; exit 1; }
