#!/usr/bin/env bash
# The power goes in the middle of ticks and prunes, several times. After each boot the pool is whole, the notes are, all that
# policy keeps is there and held, and thinning goes on.
# timeout: 3600
# shellcheck disable=SC2016 # what runs in the guest is expanded there
source "$ZAM_LAB/guest.sh"
source "$ZAM_LAB/lib.sh"

there() { guest_ssh '. /root/lab/lib.sh; trap - EXIT ERR; set +e
    dead() { zpool history -i tank | grep -c " destroy "; }
    taken() { zpool history -i tank | grep -c " snapshot tank/data@"; }
    more() { (($($1) > $2)); }
    # of the journal of this boot, the last act
    last() { journalctl -b -t "$1" -o cat OUTCOME=done | tail -n 1; }
    '"$1"; }

section "at work"
ok "zam is installed" there 'make_pool tank 512M -O mountpoint=none; zfs create tank/data; for i in $(seq 4); do zfs create tank/data/$i; done
zam_up <<TOML
[[managed-datasets]]
source = "tank/data"
recursive = true
snapshot-period = "2s"
prune-period = "2s"
grace = "2s"
silence = 0
windows = [{ max-age = "10s", period = "2s" }, { max-age = "1d", period = "1m" }]
# Where a busy machine takes a minute for a tick, something still dies with each.
[[managed-datasets]]
source = "tank/data/4"
snapshot-period = "2s"
prune-period = "2s"
grace = "2s"
silence = 0
windows = [{ max-age = "10s", period = "2s" }]
TOML
sync'

for round in 1 2; do
    section "power cut $round"
    ok "ticks and prunes are under way" there 'd=$(dead); t=$(taken); wait_for 600 more dead $d && wait_for 600 more taken $t'
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
    note "last: $(there 'last zamd-snap; last zamd-prune' | xargs -d '\n')"
    ok "the guest is killed" guest_kill
    ok "it boots" guest_boot
    assert_eq "the pool is whole" ONLINE "$(guest_ssh zpool list -H -o health tank)"
    ok "both daemons run" there 'wait_for 300 systemctl is-active zamd-snap zamd-prune'
    ok "their notes are whole" guest_ssh 'jq -e . /var/lib/zam/snap/notes.json /var/lib/zam/prune/notes.json'
    ok "ticks go on" there 't=$(taken); wait_for 600 more taken $t'
    ok "thinning goes on" there 'd=$(dead); wait_for 600 more dead $d'
    ok "what policy keeps is held" there 'for i in 1 2 4; do wait_for 300 kept_held tank/data/$i || exit 1; done'
    assert_eq "and nothing of it is gone" "" "$(there 'for i in 1 2 3; do lost_firsts tank/data/$i 60; done')"
done

section "in the end"
assert_eq "each tick was one transaction" "" "$(there "zfs list -H -o name,createtxg -t snapshot -r tank/data | sed 's/.*@//' | sort -u | cut -f 1 | uniq -d")"
assert_eq "nothing but snapshots was destroyed" "" "$(there 'zpool history -i tank | grep " destroy " | grep -v @zam-')"
ok "a scrub finds nothing wrong" guest_ssh 'zpool scrub -w tank && zpool status -x tank | grep -q healthy'
note "$(there 'echo $(taken) ticks, $(dead) deaths')"
