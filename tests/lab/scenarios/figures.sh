#!/usr/bin/env bash
# Figures, for people: what a tick over 100 datasets costs beside the bare calls and beside sanoid, how many processes ticks start,
# what the daemons take of the memory, what zamctl shows. One of them is a check: a tick starts as many processes for 300 datasets as for
# ten. Times are of an emulated machine, and mean something only beside each other.
# timeout: 3600
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none
# many COUNT PARENT: all at once, since each waits for a transaction
many() { seq "$1" | xargs -P 16 -I% zfs create "$2/%"; }
tick() { status_json | jq -r ".pools[] | select(.daemon == \"zamd-snap\") | .last_tick | $1"; }
# last_is COUNT WHEN: the last tick was over so many datasets, and another than that of WHEN
last_is() { [[ $(tick .datasets) == "$1" && $(tick .when) != "${2:-}" ]]; }
# measure COUNT: three ticks, a line each: processes, milliseconds
measure() {
    local when=
    for _ in 1 2 3; do
        wait_for 600 last_is "$1" "$when" >&2 || return
        when=$(tick .when)
        tick '"\(.processes) \(.milliseconds)"'
    done
}
median() { sort -n | sed -n 2p; }

section "ten datasets"
zfs create tank/ten && many 9 tank/ten
zam_up <<'TOML'
[[managed-datasets]]
source = "tank/ten"
recursive = true
snapshot-period = "20s"
silence = 0
windows = [{ max-age = "2m", period = "20s" }, { max-age = "1d", period = "2m" }]
TOML
ten=$(measure 10)
note "processes, milliseconds:" $ten
ok "nothing is wrong" wait_for 100 zamctl status

section "what zamctl shows"
for words in status "plan tank/ten/1 --at +10m" "explain tank/ten/1" "explain tank/ten/1@$(snaps tank/ten/1 | tail -n 1)"; do
    printf '\n$ zamctl %s\n' "$words"
    # shellcheck disable=SC2086 # words
    zamctl $words || true
done

section "memory of both daemons, in KiB"
for daemon in zamd-snap zamd-prune; do
    for pid in $(pgrep -x $daemon) $(pgrep -P "$(systemctl show -p MainPID --value $daemon)" -f 'worker tank'); do
        note "$daemon $(tr '\0' ' ' <"/proc/$pid/cmdline"): $(awk '/^(Rss|Pss|Private_Dirty):/ { printf "%s %s  ", $1, $2 }' "/proc/$pid/smaps_rollup")"
    done
    note "$daemon, all of the unit as systemd counts: $(($(systemctl show -p MemoryCurrent --value $daemon) / 1024))"
done

section "100 datasets"
zfs create tank/hundred && many 99 tank/hundred
sed -i 's/ten/hundred/' /etc/zam/zam.toml
zamctl grant --print | sh -e
systemctl reload zamd-snap zamd-prune
hundred=$(measure 100)
note "processes, milliseconds:" $hundred
zam=$(cut -d ' ' -f 2 <<<"$hundred" | median)
systemctl stop zamd-snap zamd-prune
bare='not measured'
if [[ -x $ZAM_LAB/bin/lzc_tick ]]; then
    bare=$(for i in 1 2 3; do
        zfs list -H -o name -r tank/hundred | "$ZAM_LAB/bin/lzc_tick" "bare$i" | tee /dev/stderr | awk '{ print $4 + $6 }'
    done | median)
fi
mkdir -p /etc/sanoid
printf '[tank/hundred]\nuse_template = lab\nrecursive = yes\n[template_lab]\nhourly = 1\ndaily = 0\nweekly = 0\nmonthly = 0\nyearly = 0\nautosnap = yes\nautoprune = no\n' >/etc/sanoid/sanoid.conf
cp /usr/share/sanoid/sanoid.defaults.conf /etc/sanoid/ 2>/dev/null || true
began=$(date +%s%3N)
sanoid --take-snapshots || true
sanoid=$(($(date +%s%3N) - began))
assert_eq "sanoid took as many" 100 "$(zfs list -H -o name -t snapshot -r tank/hundred | grep -c @autosnap_.*_hourly)"
execs=$(count_execs sanoid --take-snapshots --force-update)

section "300 datasets"
zfs create tank/more && many 299 tank/more
sed -i 's/hundred/more/' /etc/zam/zam.toml
zamctl grant --print | sh -e
systemctl start zamd-snap zamd-prune
more=$(measure 300)
note "processes, milliseconds:" $more
# One more or less is how much had changed since the last look.
most() { cut -d ' ' -f 1 <<<"$1" | sort -n | tail -n 1; }
assert_eq "a tick starts as many processes for 300 datasets as for ten" "$(most "$ten")" "$(most "$more")"

section "the figures"
cat <<FIGURES
figures: $ZAM_LAB_SUITE, OpenZFS $(cat /sys/module/zfs/version), emulated; the median of three, milliseconds
figures: a tick of zamd-snap over 100 datasets, listing and all: $zam
figures: the bare lzc_snapshot and lzc_hold of the same names: $bare
figures: sanoid --take-snapshots of the same datasets, no holds: $sanoid, starting $execs processes when there is nothing to take
figures: processes of a tick over 10, 100, 300 datasets: $(for ticks in "$ten" "$hundred" "$more"; do most "$ticks"; done | xargs)
figures: milliseconds of a tick over 10, 100, 300 datasets: $(for ticks in "$ten" "$hundred" "$more"; do cut -d ' ' -f 2 <<<"$ticks" | median; done | xargs)
FIGURES
