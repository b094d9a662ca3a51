#!/usr/bin/env bash
# Installs what packaging/build.sh has built, for systems that have no package.
#
# DESTDIR goes in front of each path, for whoever makes a package. BUILT is where the programs are, as build.sh says it; target/release
# if not said. What goes where is the Debian package's list, in zamctl/Cargo.toml. There is no PREFIX: units, the keys of clients
# and zamd-send name the programs by their full paths. Switches nothing on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# MADE is what build.sh made beside the programs.
BUILT=${BUILT:-target/release} MADE=${MADE:-packaging/made}

sed -n '/^assets = \[/,/^\]/s/^ *\["\([^"]*\)", "\([^"]*\)", "\([0-7]*\)"\],$/\1 \2 \3/p' zamctl/Cargo.toml |
    while read -r from to mode; do
        case $from:$to in
        *:usr/share/lintian/*) continue ;; # Debian's alone
        target/release/*) from=$BUILT/${from#target/release/} ;;
        ../packaging/made/*) from=$MADE/${from#../packaging/made/} ;;
        *) from=${from#../} ;;
        esac
        mapfile -t files < <(compgen -G "$from")
        ((${#files[@]})) || { echo "install.sh: there is no $from: run packaging/build.sh first" >&2 && exit 1; }
        for file in "${files[@]}"; do
            [[ $to != */ ]] || install -D -m "$mode" -t "${DESTDIR:-}/$to" "$file"
            [[ $to == */ ]] || install -D -m "$mode" -T "$file" "${DESTDIR:-}/$to"
        done
    done

[[ -n ${DESTDIR:-} ]] || cat <<'NEXT'
zam is installed, and nothing runs. Next, as root:
    systemd-sysusers zam.conf && systemd-tmpfiles --create zam.conf && systemctl daemon-reload
    zamctl setup      asks a few questions, and prints all else
    zamctl doctor     below each finding stands the command that mends it
NEXT
