#!/usr/bin/env bash
# Runs the lab's scenarios in real Debian guests with real ZFS.
#
#   run.sh [--suite SUITE]... [--only NAME]... [--deb FILE] [--bin DIR] [--keep]
#
#   --suite SUITE   trixie or bookworm; several times; default both
#   --only NAME     only this scenario; several times
#   --deb FILE      the package, in the guest as $ZAM_LAB/zam.deb; without it scenarios that need it fail
#   --bin DIR       programs, in the guest as $ZAM_LAB/bin/
#   --keep          leaves the guest of the last scenario running, to look at
#
# Two suites run side by side, a guest each; whoever is done first wakes a guest of the other suite and takes over some of what is
# left there. Each scenario starts from the same saved machine, in which the package is installed, unless the scenario
# says `# bare`. Logs: target/lab/SUITE/NAME.log (ZAM_LAB_LOGS overrides the folder), and when one fails the guest's journal beside it. Fails if a scenario failed, if one that scenarios.txt
# names for the suite did not run, or if scenarios/ has one that scenarios.txt does not name.
# A scenario may say `# timeout: SECONDS` (default 1800).
set -euo pipefail

# shellcheck source=tests/lab/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

SUITES=() ONLY=() DEB='' BIN='' KEEP='' PASS=()
while (($#)); do
    case $1 in
    --suite) SUITES+=("${2:?}") && shift 2 ;;
    --only) ONLY+=("${2:?}") && PASS+=("$1" "$2") && shift 2 ;;
    --deb) DEB=$(realpath -e "${2:?}") && PASS+=("$1" "$DEB") && shift 2 ;;
    --bin) BIN=$(realpath -e "${2:?}") && PASS+=("$1" "$BIN") && shift 2 ;;
    --keep) KEEP=1 && PASS+=("$1") && shift ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
done
((${#SUITES[@]})) || SUITES=(trixie bookworm)

SCENARIOS=$LAB_DIR/scenarios
LOGS=${ZAM_LAB_LOGS:-$(cd "$LAB_DIR/../.." && pwd)/target/lab}
mkdir -p "$LOGS"
RESULTS=() PASSED=0 FAILED=0

result() { # SUITE NAME VERDICT SECONDS
    RESULTS+=("$(printf '%-10s %-28s %-10s %5s s' "$@")")
    if [[ $3 == passed ]]; then PASSED=$((PASSED + 1)); else FAILED=$((FAILED + 1)); fi
    printf '%s\n' "${RESULTS[-1]}"
}

wanted() {
    local name
    ((${#ONLY[@]})) || return 0
    for name in "${ONLY[@]}"; do [[ $name == "$1" ]] && return 0; done
    return 1
}

# What scenarios.txt names: NAME SUITES per line.
LIST=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$LAB_DIR/scenarios.txt")

names_of() { # SUITE: what is wanted of it
    local name suites
    while read -r name suites _; do
        ((${#ONLY[@]} == 0)) || suites=${suites//\?/}
        if [[ ,$suites, == *,$1,* ]] && wanted "$name"; then echo "$name"; fi
    done <<<"$LIST"
}

if ((${#SUITES[@]} > 1)) && [[ -z ${ZAM_LAB_CLAIMS:-} ]]; then
    ZAM_LAB_CLAIMS=$(mktemp -d)
    export ZAM_LAB_CLAIMS
    children=() outs=() status=0
    trap 'rm -rf "$ZAM_LAB_CLAIMS"' EXIT
    for suite in "${SUITES[@]}"; do
        # its own suite first
        order=(--suite "$suite")
        for other in "${SUITES[@]}"; do [[ $other == "$suite" ]] || order+=(--suite "$other"); done
        "${BASH_SOURCE[0]}" "${order[@]}" ${PASS[@]+"${PASS[@]}"} > >(exec tee "$LOGS/$suite.out") &
        children+=($!) outs+=("$LOGS/$suite.out")
    done
    trap 'kill "${children[@]}" 2>/dev/null; wait; exit 130' INT TERM
    for child in "${children[@]}"; do wait "$child" || status=1; done
    # The last lines are still on their way through tee.
    for out in "${outs[@]}"; do
        for _ in {1..60}; do tail -n 1 "$out" | grep -q '^lab: [0-9]* passed' && break || sleep 0.5; done
    done
    echo
    for suite in "${SUITES[@]}"; do sed '1,/^$/d' "$LOGS/$suite.out" | grep -vE '^(lab:|$)' || true; done | sort
    for suite in "${SUITES[@]}"; do
        for name in $(names_of "$suite"); do
            grep -qE "^$suite +$name " "${outs[@]}" || { result "$suite" "$name" "not run" 0 && status=1; }
        done
    done
    # Where all is that is wrong: CI shows the last lines.
    for log in $(sed -n 's/^    log: //p' "${outs[@]}" | sort -u); do
        printf '\n%s\n' "$log" && { grep -A3 '^FAIL' "$log" || tail -n 4 "$log"; } | cut -c 1-200 | head -n 12
    done
    echo
    for suite in "${SUITES[@]}"; do tail -n 1 "$LOGS/$suite.out"; done | awk '
        /^lab: [0-9]+ passed, [0-9]+ failed$/ { p += $2; f += $4; n++ }
        END { printf "lab: %d passed, %d failed\n", p, f; exit !(p && n == '"${#SUITES[@]}"') }' || status=1
    exit $status
fi

# A scenario of a suite is for whoever comes first.
claim() { [[ -z ${ZAM_LAB_CLAIMS:-} ]] || mkdir "$ZAM_LAB_CLAIMS/$1.$2" 2>/dev/null; } # SUITE NAME
is_free() { [[ -z ${ZAM_LAB_CLAIMS:-} || ! -d $ZAM_LAB_CLAIMS/$1.$2 ]]; }

# The list and the folder must agree, before anything is started.
while read -r name suites _; do
    [[ -f $SCENARIOS/$name.sh || -f $SCENARIOS/$name.host.sh ]] ||
        result - "$name" "no script" 0
    [[ $suites =~ ^(trixie|bookworm)\??(,(trixie|bookworm)\??)*$ ]] || result - "$name" "bad suites" 0
done <<<"$LIST"
for file in "$SCENARIOS"/*.sh; do
    name=$(basename "$file" .sh)
    name=${name%.host}
    grep -qE "^${name}[[:space:]]" <<<"$LIST" || result - "$name" "not listed" 0
done
for name in ${ONLY[@]+"${ONLY[@]}"}; do
    grep -qE "^${name}[[:space:]]" <<<"$LIST" || result - "$name" "unknown" 0
done

journal() { # NAME
    if ! lab_alive; then
        printf -- '-- the guest is dead; its console ends with:\n' >>"$LOG_DIR/$1.log"
        tail -c 3000 "$LAB_I/console.log" >>"$LOG_DIR/$1.log" || true
        return
    fi
    {
        timeout 60 ssh "${LAB_SSH[@]}" -p "$LAB_PORT" root@127.0.0.1 'journalctl -b --no-pager -o short-precise | tail -n 5000; echo; echo == dmesg; dmesg | tail -n 100' \
            >"$LOG_DIR/$1.journal" 2>&1
    } || true
}

prepare() { # SUITE: leaves a guest with everything in it, saved as `bare`, and as `ready` once the package is installed
    guest_up "$1" || return
    guest_ssh 'rm -rf /root/lab && mkdir -p /root/lab/bin' &&
        guest_push "$LAB_DIR/lib.sh" "$SCENARIOS" /root/lab/ || return
    [[ -z $DEB ]] || guest_push "$DEB" /root/lab/zam.deb || return
    [[ -z $BIN ]] || guest_push "$BIN/." /root/lab/bin/ || return
    guest_ssh 'chmod -R a+rX /root/lab && sync' && guest_save bare || return
    [[ -z $DEB ]] || guest_ssh '. /root/lab/lib.sh && trap - EXIT && install_zam >/dev/null && sync' || return
    guest_save ready
}

# A guest that is in pieces is made anew.
fresh() { # SUITE STATE
    if lab_instance && guest_reset "$2"; then return 0; fi
    lab_say "the guest does not come back; a new one"
    guest_down
    prepare "$1" && guest_reset "$2"
}

scenario() { # SUITE NAME
    local suite=$1 name=$2 begun=$SECONDS status=0 limit state=ready script=$SCENARIOS/$2.sh
    [[ -f $script ]] || script=$SCENARIOS/$name.host.sh
    [[ -f $script ]] || return 0 # told above
    limit=$(sed -n 's/^# timeout: \([0-9]\+\)$/\1/p' "$script" | head -n 1)
    limit=${limit:-1800}
    ! grep -qx '# bare' "$script" || state=bare
    if ! fresh "$suite" "$state" 2>"$LOG_DIR/$name.log"; then
        result "$suite" "$name" "no guest" $((SECONDS - begun))
        return
    fi
    case $script in
    *.host.sh)
        ZAM_LAB=$LAB_DIR ZAM_LAB_SUITE=$suite ZAM_LAB_TMP=$LAB_I ZAM_LAB_DEB=$DEB ZAM_LAB_BIN=$BIN timeout -k 10 "$limit" bash "$script" >>"$LOG_DIR/$name.log" 2>&1 </dev/null ||
            status=$?
        no_peer
        ;;
    *)
        # timeout on both sides: a guest that hangs must not hang us
        timeout -k 10 $((limit + 60)) ssh "${LAB_SSH[@]}" -p "$LAB_PORT" -o ControlMaster=no root@127.0.0.1 \
            "cd /root/lab && ZAM_LAB=/root/lab ZAM_LAB_SUITE=$suite timeout -k 10 $limit bash scenarios/$name.sh" \
            >>"$LOG_DIR/$name.log" 2>&1 </dev/null || status=$?
        ;;
    esac
    if ((status == 0)); then
        result "$suite" "$name" passed $((SECONDS - begun))
    else
        ((status != 124)) || printf 'FAIL the scenario took more than %s s\n' "$limit" >>"$LOG_DIR/$name.log"
        journal "$name"
        result "$suite" "$name" FAILED $((SECONDS - begun))
        grep -A6 '^FAIL' "$LOG_DIR/$name.log" | sed -n '1,60s/^/    /p' || true
        printf '    log: %s\n' "$LOG_DIR/$name.log"
    fi
}

# The second guest, where a scenario had one.
no_peer() {
    [[ ! -d $LAB_RUN/$ZAM_LAB_INSTANCE-peer ]] || (ZAM_LAB_INSTANCE=$ZAM_LAB_INSTANCE-peer guest_down)
}

UP=
finish() {
    local status=$?
    trap - EXIT
    [[ -z ${ZAM_LAB_INSTANCE:-} ]] || no_peer || true
    if [[ -n $UP && -z $KEEP ]]; then guest_down || true; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

for suite in "${SUITES[@]}"; do
    LOG_DIR=$LOGS/$suite
    mkdir -p "$LOG_DIR"
    names=() mine=()
    for name in $(names_of "$suite"); do
        if is_free "$suite" "$name"; then names+=("$name"); fi
    done
    ((${#names[@]})) || continue
    export ZAM_LAB_INSTANCE=run-$suite-$$
    UP=1
    if prepare "$suite"; then
        lab_ssh_opts
        for name in "${names[@]}"; do
            claim "$suite" "$name" || continue
            mine+=("$name")
            rm -f "$LOG_DIR/$name".{log,journal}
            scenario "$suite" "$name"
        done
    else
        lab_say "no $suite guest"
        [[ -n ${ZAM_LAB_CLAIMS:-} ]] || mine=("${names[@]}")
    fi
    for name in ${mine[@]+"${mine[@]}"}; do
        printf '%s\n' ${RESULTS[@]+"${RESULTS[@]}"} | grep -qE "^$suite +$name " || result "$suite" "$name" "not run" 0
    done
    if [[ -z $KEEP ]]; then guest_down && UP=; fi
done
[[ -z $KEEP ]] || lab_say "guest left running: ZAM_LAB_INSTANCE=$ZAM_LAB_INSTANCE $LAB_DIR/guest.sh ssh"

echo
printf '%s\n' ${RESULTS[@]+"${RESULTS[@]}"}
echo
echo "lab: $PASSED passed, $FAILED failed"
# a run that ran nothing has failed; a part of one may have had nothing to do
((FAILED == 0)) && { ((PASSED > 0)) || [[ -n ${ZAM_LAB_CLAIMS:-} ]]; }
