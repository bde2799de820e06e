#!/bin/sh
# usage: qemu_run.sh LIBRARY_DIR PROGRAM [ARGUMENT...]
# Runs a 64-bit ARM program on the CPU model $ELMS_QEMU_CPU: cortex-a72 (NEON), cortex-a76 (dot product), max (i8mm).
set -eu
libraries=$1
shift
cpu=${ELMS_QEMU_CPU:-max}
# Pointer authentication in its architected form is emulated slowly, and nothing here needs it.
[ "$cpu" != max ] || cpu=max,pauth-impdef=on
exec qemu-aarch64-static -cpu "$cpu" -L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$libraries" "$@"
