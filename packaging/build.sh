#!/usr/bin/env bash
# Builds the programs, and from them their man pages and completions, for whoever makes a package: build.sh [PROFILE]
#
# PROFILE is `release` (default) or `dist`. Says on stdout in which folder the programs are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PROFILE=${1:-release}
# shellcheck source=packaging/release-env.sh
source packaging/release-env.sh

cargo build --locked --profile "$PROFILE" "${PROGRAMS[@]/#/--bin=}" >&2
BUILT=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/$PROFILE

MADE=packaging/made
rm -rf "$MADE"
mkdir -p "$MADE"/{man,completions/{bash,zsh,fish}}
"$BUILT/zamctl" man "$MADE/man"
"$BUILT/zamctl" completions bash >"$MADE/completions/bash/zamctl"
"$BUILT/zamctl" completions zsh >"$MADE/completions/zsh/_zamctl"
"$BUILT/zamctl" completions fish >"$MADE/completions/fish/zamctl.fish"
echo "$BUILT"
