#!/usr/bin/env bash
# Runs QEMU's own tests of fd sets and of the QMP protocol against this project, with only the program's name changed.
#
#   scripts/qemu-own-tests.sh SOURCE [BUILD]     after `npm run build`
#
# SOURCE is a checkout of QEMU 10.0, of which nothing is needed but Python: iotests 045 and 147. Where BUILD has QEMU's
# compiled tests/qtest/qmp-test (`ninja tests/qtest/qmp-test`), that runs too. QEMU's sources are GPL and stay outside of
# this tree.
set -euo pipefail
cd "$(dirname "$0")/.."

source=$(realpath "${1:?give the folder of QEMU\'s sources}")
build=${2:+$(realpath "$2")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$work/qemu-system-x86_64
printf '#!/bin/sh\nexec node "%s" "$@"\n' "$PWD/dist/test/interop/emulator/main.js" >"$program"
chmod +x "$program"

export QEMU_PROG=$program QEMU_OPTIONS='-nodefaults -display none -accel qtest' QEMU_DEFAULT_MACHINE=none
export TEST_DIR=$work SOCK_DIR=$work OUTPUT_DIR=$work SAMPLE_IMG_DIR=$work IMGFMT=raw CACHEMODE=writeback AIOMODE=threads
echo '== iotest 045'
(cd "$source/tests/qemu-iotests" && PYTHONPATH=../../python:. PYTHONDONTWRITEBYTECODE=1 python3 045 -v)

# Server and client are both emulators there: ours serves, QEMU's (of PATH) is the NBD client, which we have no driver for.
# Distributions build it without the accelerator qtest.
printf '#!/bin/bash\ncase "$*" in\n*id=nbd-export*|*=help*) exec "%s" "$@" ;;\n*) exec qemu-system-x86_64 "${@/#qtest/tcg}" ;;\nesac\n' \
  "$program" >"$work/both"
chmod +x "$work/both"
echo '== iotest 147, the NBD server of the emulator'
(cd "$source/tests/qemu-iotests" && QEMU_PROG=$work/both IMGPROTO=nbd PYTHONPATH=../../python:. PYTHONDONTWRITEBYTECODE=1 \
  python3 147 -v BuiltinNBD)

if [ -x "${build:-/nowhere}/tests/qtest/qmp-test" ]; then
  echo '== qmp-test'
  QTEST_QEMU_BINARY=$program "$build/tests/qtest/qmp-test"
fi
