#!/usr/bin/env bash
# Unpacks QEMU 10.0 of Debian's backports into build/qemu-10.0, beside the QEMU that is installed: the tests compare with
# both. Nothing is installed, no root is needed; apt checks the signatures. The libraries are those of Debian 12's own
# qemu-system-x86 and qemu-utils, which must be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$PWD/build/qemu-10.0
[ -x "$folder/usr/bin/qemu-storage-daemon" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages" "$work/tree"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] http://deb.debian.org/debian bookworm-backports main" >"$work/sources.list"
options=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
  -o Acquire::Languages=none -o Acquire::Retries=3)
apt-get "${options[@]}" update
(cd "$work/packages" && apt-get "${options[@]}" download qemu-system-x86 qemu-system-common qemu-system-data qemu-utils)
for package in "$work"/packages/*.deb; do dpkg -x "$package" "$work/tree"; done
rm -rf "$folder"
mkdir -p build
mv "$work/tree" "$folder"
"$folder/usr/bin/qemu-storage-daemon" --version | head -n 1
