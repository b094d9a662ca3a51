# shellcheck shell=bash
# Sourced, in the guest, by each scenario:
#
#   source "${ZAM_LAB:-/root/lab}/lib.sh"
#
# Each check prints one line, `ok …` or `FAIL …`, and the scenario goes on. At the end comes a verdict, and the exit
# status says whether all went well: a failed check, a script that broke off and a script that checked nothing all fail.

set -euo pipefail
export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

LAB_POOLS=/var/tmp/lab-pools
LAB_OK=0
LAB_FAILED=0
LAB_LAST=$SECONDS

lab_verdict() {
    local status=$?
    trap - EXIT
    if ((status != 0)); then
        printf 'FAIL the scenario broke off with status %s\n' "$status"
        LAB_FAILED=$((LAB_FAILED + 1))
    fi
    if ((LAB_OK + LAB_FAILED == 0)); then
        printf 'FAIL the scenario checked nothing\n'
        LAB_FAILED=1
    fi
    printf -- '-- %s ok, %s failed\n' "$LAB_OK" "$LAB_FAILED"
    ((LAB_FAILED == 0)) || exit 1
    exit 0
}
trap lab_verdict EXIT
trap 'printf "at %s:%s: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND"' ERR

# --- checks -----------------------------------------------------------------------------------------------------------

# section TEXT: a heading in the log.
section() { printf '\n== %s (at %s s)\n' "$*" "$SECONDS"; }

# note TEXT: a line in the log.
note() { printf '   %s\n' "$*"; }

pass() {
    LAB_OK=$((LAB_OK + 1))
    printf 'ok   %s%s\n' "$*" "$(lab_took)"
    LAB_LAST=$SECONDS
}

fail() {
    LAB_FAILED=$((LAB_FAILED + 1))
    printf 'FAIL %s%s\n' "$*" "$(lab_took)"
    LAB_LAST=$SECONDS
}

# Since the last check, where that is long: what a scenario spends its time on.
lab_took() { ((SECONDS - LAB_LAST < 5)) || printf ' [%s s]' $((SECONDS - LAB_LAST)); }

# lab_try CMD...: sets LAB_STATUS and LAB_OUTPUT. CMD may be a function.
lab_try() {
    LAB_STATUS=0
    LAB_OUTPUT=$(trap - EXIT ERR; "$@" 2>&1 </dev/null) || LAB_STATUS=$?
}

lab_told() {
    [[ -z $LAB_OUTPUT ]] || printf '%s\n' "$LAB_OUTPUT" | sed -n '1,40s/^/     | /p'
}

# ok DESC CMD...: CMD must succeed. Its output is in LAB_OUTPUT.
ok() {
    local desc=$1
    shift
    lab_try "$@"
    if ((LAB_STATUS == 0)); then pass "$desc"; else
        fail "$desc: exit $LAB_STATUS from: $*"
        lab_told
    fi
}

# refused DESC CMD...: CMD must say no: fail, and not because it hung, could not be run, panicked or was killed.
# Prints what it said.
refused() {
    local desc=$1
    shift
    lab_try "$@"
    case $LAB_STATUS in
    0) fail "$desc: was not refused: $*" ;;
    101 | 124 | 126 | 127 | 12[89] | 1[3-9]? | 2??) fail "$desc: exit $LAB_STATUS is no refusal: $*" ;;
    *) pass "$desc (refused, exit $LAB_STATUS)" ;;
    esac
    lab_told
}

# refused_with REGEX DESC CMD...: refused, and the message matches.
refused_with() {
    local want=$1 desc=$2
    shift 2
    lab_try "$@"
    if ((LAB_STATUS != 0)) && [[ $LAB_OUTPUT =~ $want ]]; then
        pass "$desc (refused, exit $LAB_STATUS)"
    else
        fail "$desc: wanted a refusal that says /$want/, got exit $LAB_STATUS from: $*"
    fi
    lab_told
}

# assert_eq DESC WANT GOT
assert_eq() {
    if [[ $2 == "$3" ]]; then pass "$1"; else
        fail "$1"
        printf '     | wanted: %s\n     | got:    %s\n' "${2//$'\n'/ ⏎ }" "${3//$'\n'/ ⏎ }"
    fi
}

# assert_match DESC REGEX GOT
assert_match() {
    if [[ $3 =~ $2 ]]; then pass "$1"; else
        fail "$1"
        printf '     | wanted: /%s/\n     | got:    %s\n' "$2" "${3//$'\n'/ ⏎ }"
    fi
}

# same DESC CMD1 -- CMD2: both commands must print the same.
same() {
    local desc=$1 first=() a b
    shift
    while [[ $1 != -- ]]; do
        first+=("$1")
        shift
    done
    shift
    a=$("${first[@]}" 2>&1) || true
    b=$("$@" 2>&1) || true
    assert_eq "$desc" "$a" "$b"
}

# wait_for SECONDS CMD...: tries CMD twice a second until it succeeds; fails when the time is over.
# Use it in a check: ok "the first tick came" wait_for 30 has_snapshot tank/a
wait_for() {
    local until=$((SECONDS + $1))
    shift
    while :; do
        if "$@" >/dev/null 2>&1; then return 0; fi
        if ((SECONDS >= until)); then
            printf 'still not so: %s\n' "$*"
            "$@" || true
            return 1
        fi
        sleep 0.5
    done
}

# not CMD...
not() { ! "$@"; }

# --- users ------------------------------------------------------------------------------------------------------------

# as USER CMD...: CMD as that unix user with its groups and nothing of our environment. Not for shell functions.
# Not by runuser, whose PAM takes longer than most of what it is asked to run.
as() {
    local user=$1
    shift
    setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- /usr/bin/env -i "PATH=$PATH" LC_ALL=C.UTF-8 HOME=/nonexistent USER="$user" "$@"
}

# make_user NAME [GROUP,...]
make_user() {
    id "$1" >/dev/null 2>&1 || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$1"
    [[ -z ${2:-} ]] || usermod -a -G "$2" "$1"
}

# --- pools ------------------------------------------------------------------------------------------------------------

# make_pool NAME SIZE [ARG...]: a pool on a file; more arguments go to `zpool create`. Mounted under /NAME.
make_pool() {
    local name=$1 size=$2
    shift 2
    mkdir -p "$LAB_POOLS"
    truncate -s "$size" "$LAB_POOLS/$name.img"
    zpool create -f "$@" "$name" "$LAB_POOLS/$name.img"
}

# drop_pool NAME
drop_pool() {
    ! zpool list -H -o name "$1" >/dev/null 2>&1 || wait_for 60 zpool destroy -f "$1"
    rm -f "$LAB_POOLS/$1.img"
}

# snaps DATASET: the short names of its snapshots, oldest first, one per line.
snaps() { zfs list -H -t snapshot -o name -s createtxg -d 1 "$1" | sed 's/.*@//'; }

exists() { zfs list -H -o name "$1" >/dev/null 2>&1; }
gone() { ! exists "$1"; }

# held SNAPSHOT [TAG]
held() { zfs holds -H "$1" | cut -f 2 | grep -qx -- "${2:-.*}"; }

# zfs_at_least MAJOR.MINOR: of the kernel module that is loaded.
zfs_at_least() {
    local have
    have=$(cat /sys/module/zfs/version)
    [[ $(printf '%s\n%s\n' "$1" "${have%%-*}" | sort -V | head -n 1) == "$1" ]]
}

# --- zam --------------------------------------------------------------------------------------------------------------

# install_zam: the package that run.sh brought, unless it is there.
install_zam() { [[ -x /usr/bin/zamctl ]] || dpkg -i "${ZAM_LAB:-/root/lab}/zam.deb"; }

# zam_up: installs zam, takes its config from stdin, grants what that needs, starts both daemons.
zam_up() {
    install_zam >/dev/null
    cat >/etc/zam/zam.toml
    zamctl grant --print | sh
    systemctl enable --now zamd-snap zamd-prune
}

# zam_config: a config from stdin, read by both daemons.
zam_config() {
    cat >/etc/zam/zam.toml
    systemctl reload zamd-snap zamd-prune
}

# status_row DATASET [FILTER]: its row of `zamctl status --json`, or what jq's FILTER takes of it. Exit code 3 says only
# that something needs attention.
status_json() { zamctl status --json || (($? == 3)); }
status_row() { status_json | jq -r --arg dataset "$1" ".datasets[] | select(.dataset == \$dataset) | ${2:-.}"; }
# status_says DATASET REGEX
status_says() { [[ $(status_row "$1" '.why | join("; ")') =~ $2 ]]; }

# goes_round DAEMON POOL COUNT: waits until the daemon has begun so many more rounds over the pool.
goes_round() {
    local daemon=$1 pool=$2 count=$3 last
    # whatever the status says of the others
    listed() { { zamctl status --json || true; } | jq -r --arg daemon "$daemon" --arg pool "$pool" '.pools[] | select(.daemon == $daemon and .pool == $pool) | .last_listing'; }
    moved() { local now; now=$(listed) && [[ $now == 2* && $now != "$last" ]]; }
    while ((count-- > 0)); do
        last=$(listed)
        wait_for 300 moved || return
    done
}

# has_more DATASET COUNT: snapshots of its own than so many.
has_more() { (($(snaps "$1" | wc -l) > $2)); }

# unheld DATASET: the snapshots of it and of what is below that nothing holds.
unheld() { zfs list -H -o name,userrefs -t snapshot -r "$1" | awk '$2 == 0 { print $1 }'; }
all_held() { [[ -z $(unheld "$1") ]]; }

# held_ones DATASET: the GUIDs of its snapshots that are held. What a tick has just taken is held a moment later, so that something
# done to the dataset in between may leave one that is not: what must stay is what was held before.
held_ones() { zfs list -H -o guid,userrefs -t snapshot "$1" | awk '$2 > 0 { print $1 }'; }
# lost_holds GUIDS DATASET: those of them that are not held there any more.
lost_holds() { grep -vxF -f <(held_ones "$2") <<<"$1" || true; }

# kept_held DATASET: whether zam holds all that its policy keeps, by `zamctl explain`.
kept_held() {
    [[ -z $(zamctl explain "$1" --json |
        jq -r '.snapshots[] | select(.managed and (.expired | not) and (.holds | index("zam") | not)) | .snapshot') ]]
}

# lost_firsts DATASET PERIOD: of all snapshots that were ever taken of it on schedule, by the pool's own history: those that came first
# in their bucket of PERIOD seconds, and are gone. A tier that keeps one in each period has none.
lost_firsts() {
    local dataset=$1 period=$2 there taken
    # in this order: what is listed was taken before the history is read
    there=$(snaps "$dataset")
    taken=$(zpool history -i "${dataset%%/*}" | grep -oE " snapshot $dataset@zam-[0-9]{8}T[0-9]{6}Z " | sed 's/.*@zam-//; s/ $//')
    [[ -n $there && -n $taken ]] || { echo "$dataset has no snapshots, or never had" && return; }
    # one `date` for all: a program takes its time in here
    paste <(cat <<<"$taken") <(sed -E 's/(....)(..)(..)T(..)(..)(..)Z/\1-\2-\3 \4:\5:\6/' <<<"$taken" | date -u -f - +%s) |
        awk -v period="$period" -v newest="$(tail -n 1 <<<"$there")" '
            ("zam-" $1) > newest { exit }
            int($2 / period) != last { last = int($2 / period); print "zam-" $1 }' |
        grep -vxF -f <(cat <<<"$there") | sed "s|^|$dataset@|" || true
}

# The image tells zam that the clock is synchronised, as systemd-timesyncd would; there is no time server in here.
clock_synced() { mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized; }
clock_unsynced() { rm -f /run/systemd/timesync/synchronized; }

# count_execs CMD...: how many programs CMD starts, itself included. What CMD prints is thrown away.
count_execs() {
    local trace
    trace=$(mktemp)
    strace -f -qq -e trace=execve,execveat -e signal=none -o "$trace" "$@" >/dev/null 2>&1 || true
    grep -c ' = 0$' "$trace" || true
    rm -f "$trace"
}

# watch_execs FILE PID...: writes to FILE what these processes and their children execute, until `unwatch_execs`.
watch_execs() {
    local file=$1 pid args=()
    shift
    for pid in "$@"; do args+=(-p "$pid"); done
    strace -f -qq -e trace=execve,execveat -e signal=none -o "$file" "${args[@]}" >/dev/null 2>&1 &
    LAB_STRACE=$!
    for pid in "$@"; do wait_for 60 traced "$pid"; done
}
traced() { grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$1/status"; }
unwatch_execs() {
    kill -INT "$LAB_STRACE" 2>/dev/null || true
    wait "$LAB_STRACE" 2>/dev/null || true
}

# --- copies -----------------------------------------------------------------------------------------------------------

# as_root PRINT...: runs, as root, what `zamctl PRINT...` prints; the first thing that goes wrong ends it.
as_root() { zamctl "$@" | sh -e; }

# copies_up: installs zam, and lets this machine be its own replica: over sshd, as the host `olympus`, below nas/zam/lab. Takes the
# source's config from stdin; all else is what zamctl prints.
LAB_THERE=(--client lab --root nas/zam/lab)
copies_up() {
    install_zam >/dev/null
    cat >/etc/zam/zam.toml
    as_root ssh --print olympus "${LAB_THERE[@]}" --address 127.0.0.1
    as_root ssh --print olympus "${LAB_THERE[@]}" --on replica
    zamctl replica-config --print olympus "${LAB_THERE[@]}" >/etc/zam/zam.d/replica.toml
    as_root grant --print --replica
    as_root grant --print
    systemctl enable --now zamd-snap zamd-prune zamd-recv zamd-send
}

# execs WORDS...: how many programs both daemons of copies and their workers start during `zamctl replicate WORDS...`
execs() {
    local trace pids role main
    trace=$(mktemp)
    pids=$(for role in send recv; do
        main=$(systemctl show -p MainPID --value zamd-$role)
        echo "$main" && pgrep -P "$main"
    done)
    # shellcheck disable=SC2086 # words
    watch_execs "$trace" $pids
    zamctl replicate "$@" --wait >/dev/null
    unwatch_execs
    grep -c ' = 0$' "$trace" || true
    rm -f "$trace"
}

# guid NAME: of a snapshot or a dataset.
guid() { zfs get -H -p -o value guid "$1"; }

# audit [UNIT]...: the audit trail of these programs, a line for each: op, outcome, what, error, why.
audit() {
    local unit units=()
    for unit in "$@"; do units+=(-t "$unit"); done
    # Whoever was told has told the journal before, which may not have written it yet.
    journalctl --sync 2>/dev/null || true
    journalctl -b --no-pager -o json --output-fields=OP,OUTCOME,WHAT,ERROR,WHY "${units[@]}" |
        jq -r 'select(.OP) | [.OP, .OUTCOME, .WHAT, .ERROR // "", .WHY // ""] | map(tostring) | join(" | ")'
}

# copy NAME [FILTER]: of a dataset's copies as `zamctl status --json` has them, or what jq's FILTER takes of them.
copy() { status_json | jq -r --arg dataset "$1" ".copies[] | select(.dataset == \$dataset) | ${2:-.}"; }
# copy_is NAME REGEX: what stands there.
copy_is() { [[ $(copy "$1" 'tostring') =~ $2 ]]; }

# guids DATASET: of its snapshots, oldest first.
guids() { zfs list -H -p -o guid -t snapshot -s createtxg -d 1 "$1" | xargs; }

# content SNAPSHOT: a checksum of all its files, or of the volume.
content() {
    local at status=0
    if [[ $(zfs get -H -o value type "${1%@*}") == volume ]]; then
        zfs clone -o volmode=dev "$1" "${1%%/*}/lab-look"
        wait_for 60 test -b "/dev/zvol/${1%%/*}/lab-look" && sha256sum <"/dev/zvol/${1%%/*}/lab-look" || status=1
        # udev may still look at it
        wait_for 60 zfs destroy "${1%%/*}/lab-look"
        return $status
    fi
    at=$(mktemp -d)
    mount -t zfs -o ro "$1" "$at" || { rmdir "$at" && return 1; }
    (cd "$at" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum | sha256sum) || status=1
    umount "$at" && rmdir "$at"
    return $status
}

# alike DESC SOURCE COPY: the newest of the copy's snapshots is the source's newest, by GUID and by content; all of it is held.
alike() {
    local desc=$1 from=$2 to=$3 newest
    newest=$(snaps "$from" | tail -n 1)
    assert_eq "$desc: it has the newest by its identity" "$(guid "$from@$newest")" "$(guid "$to@$newest" 2>&1)"
    assert_eq "$desc: the same content" "$(content "$from@$newest")" "$(content "$to@$newest" 2>&1)"
    assert_eq "$desc: all of it is held" "" "$(zfs list -H -o name,userrefs -t snapshot -d 1 "$to" | awk -F '\t' '$2 == 0 { print $1 }')"
}

# destroy SNAPSHOT...: as root, whatever zam thinks of it; zamd-snap may hold it anew meanwhile.
destroy() {
    local snapshot
    for snapshot in "$@"; do
        until { zfs release zam "$snapshot" 2>/dev/null || true; } && zfs destroy "$snapshot" 2>/dev/null; do sleep 1; done
    done
}
