#!/usr/bin/env bash
# Builds the Debian package: deb.sh OUT_DIR [--profile PROFILE]
#
# PROFILE is `release` (default) or `dist`, which takes longer and makes smaller programs. Says on stdout where the
# package is. The same commit and compiler give the same package. What it links is checked against Debian 12, so build
# on Debian 12, or on what has no newer C library.
set -euo pipefail

CARGO_DEB=3.8.0
# The newest C library that Debian 12 has.
GLIBC=2.36

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
OUT='' PROFILE=release
while (($#)); do
    case $1 in
    --profile) PROFILE=${2:?} && shift 2 ;;
    -*) usage ;;
    *) [[ -z $OUT ]] || usage; OUT=$1 && shift ;;
    esac
done
[[ -n $OUT ]] || usage
mkdir -p "$OUT"
OUT=$(realpath "$OUT")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=packaging/release-env.sh
source packaging/release-env.sh
exec 3>&1 >&2

if [[ $(cargo deb --version 2>/dev/null) != "cargo-deb $CARGO_DEB" ]]; then
    # Not with the flags of our own programs.
    env -u RUSTFLAGS cargo install cargo-deb --locked --version "$CARGO_DEB"
fi

BUILT=$(packaging/build.sh "$PROFILE")

# Nothing but the C library, and no newer one.
for program in "${PROGRAMS[@]}"; do
    libraries=$(objdump -p "$BUILT/$program" | sed -n 's/^ *NEEDED *//p' |
        grep -vxE 'libc\.so\.6|libgcc_s\.so\.1|libm\.so\.6|ld-linux-.*\.so\.[12]' || true)
    [[ -z $libraries ]] || { echo "$program needs libraries that the package does not depend on: $libraries"; exit 1; }
    newest=$(objdump -T "$BUILT/$program" | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
    [[ $(printf '%s\n' "$newest" "$GLIBC" | sort -V | tail -n 1) == "$GLIBC" ]] ||
        { echo "$program wants glibc $newest, Debian 12 has $GLIBC: build there"; exit 1; }
done

DEB=$(cargo deb --locked -p zamctl --no-build --profile "$PROFILE" --output "$OUT/" | tail -n 1)
dpkg --info "$DEB" | sed -n 's/^ \(Package\|Version\|Installed-Size\)/\1/p'
echo "$DEB" >&3
