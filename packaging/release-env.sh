# shellcheck shell=bash
# Sourced, at the top of the checkout, by what builds programs for other machines: no path of this machine gets into
# them, and the dates in packages are the commit's. In one place, so that all such builds share their artifacts.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)
# Once, also where a script that has it runs another.
[[ ${RUSTFLAGS:-} == *=/zam* ]] || RUSTFLAGS="--remap-path-prefix=$PWD=/zam --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo ${RUSTFLAGS:-}"
export SOURCE_DATE_EPOCH RUSTFLAGS
# What a package has.
# shellcheck disable=SC2034
PROGRAMS=(zamd-snap zamd-prune zamd-send zamd-recv zamd-watch zam-receive zam-hook zamctl)
