#!/usr/bin/env bash
# Figures, for people: what a tick over 60 datasets costs beside the bare calls and beside sanoid, how many processes ticks start,
# what the daemons take of the memory, what zamctl shows. One of them is a check: a tick starts as many processes for 150 datasets as for
# ten. Times are of an emulated machine, and mean something only beside each other.
# timeout: 3600
source "${ZAM_LAB:-/root/lab}/lib.sh"

# many COUNT POOL: a pool with so many datasets, itself included; all at once, since each waits for a transaction
many() { make_pool "$2" 512M -O mountpoint=none && seq $(($1 - 1)) | xargs -P 16 -I% zfs create "$2/%"; }
# now_on POOL
now_on() {
    cat >/etc/zam/zam.toml <<TOML
[[managed-datasets]]
source = "$1"
recursive = true
snapshot-period = "10s"
silence = 0
windows = [{ max-age = "2m", period = "10s" }, { max-age = "1d", period = "2m" }]
TOML
    zamctl grant --print | sh -e
    systemctl start zamd-snap zamd-prune
}
# over_with POOL
over_with() { systemctl stop zamd-snap zamd-prune && zpool destroy "$1"; }
tick() { status_json | jq -r --arg pool "$1" ".pools[] | select(.daemon == \"zamd-snap\" and .pool == \$pool) | .last_tick | $2"; }
# last_is POOL COUNT WHEN: the last tick was over so many datasets, and another than that of WHEN
last_is() { [[ $(tick "$1" .datasets) == "$2" && $(tick "$1" .when) != "$3" ]]; }
# measure POOL COUNT TICKS: a line for each: processes, milliseconds
measure() {
    local when= ticks=$3
    while ((ticks-- > 0)); do
        wait_for 600 last_is "$1" "$2" "$when" >&2 || return
        when=$(tick "$1" .when)
        tick "$1" '"\(.processes) \(.milliseconds)"'
    done
}
quickest() { sort -n | head -n 1; }

section "ten datasets"
install_zam >/dev/null
many 10 ten
now_on ten
ten=$(measure ten 10 3)
note "processes, milliseconds:" $ten
ok "nothing is wrong" wait_for 300 zamctl status

section "what zamctl shows"
for words in status "plan ten/1 --at +10m" "explain ten/1" "explain ten/1@$(snaps ten/1 | tail -n 1)"; do
    printf '\n$ zamctl %s\n' "$words"
    # shellcheck disable=SC2086 # words
    zamctl $words || true
done

section "memory of both daemons, in KiB"
for daemon in zamd-snap zamd-prune; do
    for pid in $(pgrep -x $daemon) $(pgrep -P "$(systemctl show -p MainPID --value $daemon)" -f 'worker ten'); do
        note "$daemon $(tr '\0' ' ' <"/proc/$pid/cmdline"): $(awk '/^(Rss|Pss|Private_Dirty):/ { printf "%s %s  ", $1, $2 }' "/proc/$pid/smaps_rollup")"
    done
    note "$daemon, all of the unit as systemd counts: $(($(systemctl show -p MemoryCurrent --value $daemon) / 1024))"
done

section "60 datasets"
over_with ten
many 60 sixty
now_on sixty
sixty=$(measure sixty 60 2)
note "processes, milliseconds:" $sixty
systemctl stop zamd-snap zamd-prune
bare='not measured'
if [[ -x $ZAM_LAB/bin/lzc_tick ]]; then
    bare=$(for i in 1 2 3; do
        zfs list -H -o name -r sixty | "$ZAM_LAB/bin/lzc_tick" "bare$i" | tee /dev/stderr | awk '{ print $4 + $6 }'
    done | quickest)
fi
mkdir -p /etc/sanoid
printf '[sixty]\nuse_template = lab\nrecursive = yes\n[template_lab]\nhourly = 1\ndaily = 0\nweekly = 0\nmonthly = 0\nyearly = 0\nautosnap = yes\nautoprune = no\n' >/etc/sanoid/sanoid.conf
cp /usr/share/sanoid/sanoid.defaults.conf /etc/sanoid/ 2>/dev/null || true
began=$(date +%s%3N)
sanoid --take-snapshots || true
sanoid=$(($(date +%s%3N) - began))
assert_eq "sanoid took as many" 60 "$(zfs list -H -o name -t snapshot -r sixty | grep -c @autosnap_.*_hourly)"
execs=$(count_execs sanoid --take-snapshots --force-update)

section "150 datasets"
over_with sixty
many 150 more
now_on more
more=$(measure more 150 1)
note "processes, milliseconds:" $more
most() { cut -d ' ' -f 1 | sort -n | tail -n 1; }
# One more or less is how much had changed since the last look.
ok "a tick starts as many processes for 150 datasets as for ten" test "$(most <<<"$more")" -le $(($(most <<<"$ten") + 1))

section "the figures"
ticks() { for each in "$ten" "$sixty" "$more"; do "$@" <<<"$each"; done | xargs; }
milliseconds() { cut -d ' ' -f 2 | quickest; }
cat <<FIGURES
figures: $ZAM_LAB_SUITE, OpenZFS $(cat /sys/module/zfs/version), emulated; the quickest of a few, milliseconds
figures: a tick of zamd-snap over 60 datasets, listing and all: $(milliseconds <<<"$sixty")
figures: the bare lzc_snapshot and lzc_hold of the same names: $bare
figures: sanoid --take-snapshots of the same datasets, no holds: $sanoid, starting $execs processes when there is nothing to take
figures: processes of a tick over 10, 60, 150 datasets: $(ticks most)
figures: milliseconds of a tick over 10, 60, 150 datasets: $(ticks milliseconds)
FIGURES
