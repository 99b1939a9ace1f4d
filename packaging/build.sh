#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian package out of what is committed: packaging/build.sh FOLDER puts it there.
set -e
out=$(realpath "$1")
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d -t kura-package.XXXXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir "$work/kura"
git -C "$top" archive HEAD | tar -x -C "$work/kura"
cp -r "$work/kura/packaging/debian" "$work/kura/debian"
cd "$work/kura"
./bootstrap >"$work/bootstrap.log" 2>&1 || { cat "$work/bootstrap.log" >&2; exit 1; }
DEB_BUILD_OPTIONS="parallel=2 nocheck" dpkg-buildpackage -b -us -uc >"$work/build.log" 2>&1 ||
	{ tail -40 "$work/build.log" >&2; exit 1; }
cp "$work"/*.deb "$work"/*.changes "$out"
