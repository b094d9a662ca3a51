#!/usr/bin/env bash
# Ticks over a tree of filesystems and volumes with exclusions, on two pools at once: who gets snapshots, who does not,
# one transaction for each pool and tick, all held.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none
make_pool dozer 256M -O mountpoint=none
for dataset in home home/ann home/ann/cache home/cache home/cache/deep home/build-7 home/tmp1 home/tmpx home/guest \
    home/guest/back vm vm/notes single single/child other; do zfs create "tank/$dataset"; done
for volume in home/disk vm/d1 vm/build-2; do zfs create -s -V 16M "tank/$volume"; done
zfs create dozer/mail

zam_up <<'TOML'
[default.managed-datasets]
snapshot-period = "10s"
prune-period = "never"
silence = 0
[[managed-datasets]]
source = "tank/home"
recursive = true
exclude = ["cache", "build-*", "re:^tmp[0-9]+$"]
[[managed-datasets]]
source = "tank/home/guest"
enabled = false
[[managed-datasets]]
source = "tank/home/guest/back"
[[managed-datasets]]
source = "tank/vm"
recursive = true
type = "volume"
[[managed-datasets]]
source = "tank/single"
[[managed-datasets]]
source = "dozer"
recursive = true
TOML
FIRST='tank/home tank/home/ann tank/home/disk tank/home/guest/back tank/home/tmpx tank/single tank/vm/build-2 tank/vm/d1'

section "the first ticks"
ok "tank" wait_for 300 has_more tank/home 1
ok "dozer" wait_for 300 has_more dozer/mail 1
ok "zamctl status: all is well" wait_for 300 zamctl status

section "datasets that come later"
zfs create tank/home/later && zfs create tank/home/later/cache && zfs create tank/outside && zfs create dozer/late
ok "below a recursive entry: it gets snapshots" wait_for 300 has_more tank/home/later 0
ok "below one that is a whole pool" wait_for 300 has_more dozer/late 0
ok "and one more tick" wait_for 300 has_more tank/home/later 1
processes() { status_json | jq ".pools[] | select(.daemon == \"zamd-snap\" and .pool == \"$1\") | .last_tick.processes"; }
# One more or less is how much had changed since the last look.
as_many() { local difference=$(($(processes tank) - $(processes dozer))); ((-1 <= difference && difference <= 1)); }
ok "a tick starts as many processes over nine datasets as over three" wait_for 120 as_many
note "$(processes tank), $(processes dozer)"
systemctl stop zamd-snap
journalctl --sync

section "what there is"
listing=$(zfs list -H -o name,createtxg,userrefs -t snapshot | sed 's/@/\t/')
of_tick() { awk -v tick="$1" -v pool="$2" '$2 == tick && $1 ~ "^" pool { print $1 }' <<<"$listing" | sort | xargs; }
ticks() { awk -v pool="$1" '$1 ~ "^" pool { print $2 }' <<<"$listing" | sort -u; }
assert_eq "the first tick was for these" "$FIRST" "$(of_tick "$(ticks tank | head -n 1)" tank)"
assert_eq "the last one for the later one too" "$(tr ' ' '\n' <<<"$FIRST tank/home/later" | sort | xargs)" \
    "$(of_tick "$(ticks tank | tail -n 1)" tank)"
assert_eq "on the other pool" "dozer dozer/late dozer/mail" "$(of_tick "$(ticks dozer | tail -n 1)" dozer)"
assert_eq "no other dataset has any" "$(tr ' ' '\n' <<<"$FIRST tank/home/later dozer dozer/late dozer/mail" | sort | xargs)" \
    "$(cut -f 1 <<<"$listing" | sort -u | xargs)"
for pool in tank dozer; do
    note "$pool: $(ticks $pool | wc -l) ticks"
    assert_eq "$pool: each tick is one transaction" "" \
        "$(awk -v pool=$pool '$1 ~ "^" pool { print $2, $3 }' <<<"$listing" | sort -u | cut -d ' ' -f 1 | uniq -d)"
done
assert_eq "each is held once" 1 "$(cut -f 4 <<<"$listing" | sort -u)"
assert_eq "with tag zam" zam "$(zfs list -H -o name -t snapshot | xargs zfs holds -H | cut -f 2 | sort -u)"
assert_match "an audit line each" '^[0-9]+$' "$(journalctl OP=snapshot OUTCOME=done -o cat | wc -l)"
assert_eq "as many as there are snapshots" "$(wc -l <<<"$listing")" "$(journalctl OP=snapshot OUTCOME=done -o cat | wc -l)"
assert_eq "and as many of holds" "$(wc -l <<<"$listing")" "$(journalctl OP=hold OUTCOME=done TAG=zam -o cat | wc -l)"
