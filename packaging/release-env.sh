# shellcheck shell=bash
# Sourced, at the top of the checkout, by what builds programs for other machines: no path of this machine gets into
# them, and the dates in packages are the commit's. In one place, so that all such builds share their artifacts.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)
RUSTFLAGS="--remap-path-prefix=$PWD=/zam --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo ${RUSTFLAGS:-}"
export SOURCE_DATE_EPOCH RUSTFLAGS
