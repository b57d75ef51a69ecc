#!/bin/sh
# SPDX-License-Identifier: ISC
# Makes ./configure and Makefile.in; needed once after a checkout, not for a release archive.
set -e
cd "$(dirname "$0")"

missing=
need() { # tool or file, Debian package
	command -v "$1" >/dev/null 2>&1 || missing="$missing
  $1 not found; Debian package: $2"
}
need autoconf autoconf
need automake automake
need pkg-config pkg-config
if [ -n "$missing" ]; then
	echo "autogen.sh: these are needed:$missing" >&2
	exit 1
fi
exec autoreconf --install --force
