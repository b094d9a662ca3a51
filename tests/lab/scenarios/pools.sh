#!/usr/bin/env bash
# Trouble with one pool or one dataset, never with another: exported and imported, no room, a name that is taken, a grant that is
# missing, a pool that has stopped all writing.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 256M -O mountpoint=none
make_pool dozer 256M -O mountpoint=none
for dataset in tank/ok tank/denied tank/tree tank/tree/x tank/tree/y dozer/mail; do zfs create $dataset; done
# With a reservation, which leaves 3 MB: each snapshot needs room for all that is in it to be written once more.
zfs create -V 100M dozer/full
zam_up <<'TOML'
[default.managed-datasets]
snapshot-period = "5s"
prune-period = "1h"
silence = 0
[[managed-datasets]]
source = "tank/ok"
[[managed-datasets]]
source = "tank/denied"
[[managed-datasets]]
source = "tank/tree"
recursive = true
[[managed-datasets]]
source = "dozer"
recursive = true
TOML
# goes_on DATASET: it gets more snapshots
goes_on() {
    local count
    count=$(snaps "$1" | wc -l)
    wait_for 400 has_more "$1" "$count"
}
# pool_state POOL: of its worker, by zamd-snap
pool_state() { status_json | jq -r --arg pool "$1" '.pools[] | select(.pool == $pool and .daemon == "zamd-snap") | .state'; }
all_fine() { [[ $(status_json | jq -r '.datasets[].need' | sort -u) == fine ]]; }
ok "snapshots come" wait_for 300 has_more tank/ok 0
ok "on both" wait_for 300 has_more dozer/mail 0

section "a pool is exported"
ok "zpool export" wait_for 300 zpool export dozer
ok "status says so" wait_for 300 status_says dozer 'pool dozer is not imported: .zpool import. brings it back'
is_absent() { [[ $(pool_state dozer) == absent ]]; }
ok "its worker too" wait_for 300 is_absent
assert_match "in words" 'pool dozer.* not imported' "$(zamctl status || true)"
ok "tank goes on" goes_on tank/ok
ok "zpool import" zpool import -d "$LAB_POOLS" dozer
ok "dozer goes on, by itself" goes_on dozer/mail
ok "all is well again" wait_for 300 all_fine

section "no room"
ok "the volume is there" wait_for 300 test -e /dev/zvol/dozer/full
ok "more is written into the volume than there is room for" dd if=/dev/urandom of=/dev/zvol/dozer/full bs=1M count=16 oflag=direct
ok "status says so" wait_for 300 status_says dozer/full 'out of space'
note "$(status_row dozer/full '.why[0]')"
ok "the pool's others go on" goes_on dozer/mail
ok "room is made" zfs set refreservation=none dozer/full
ok "it goes on" goes_on dozer/full
ok "all is well again" wait_for 300 all_fine

section "a name that is taken"
ok "by root" zfs snapshot tank/tree/x@mine
refused_with 'tank/tree/x.*there already' "zamctl snapshot -r of that name says where" zamctl snapshot tank/tree -r --name mine
assert_eq "the others have it, held" "tank/tree/y@mine tank/tree@mine" \
    "$(zfs list -H -o name,userrefs -t snapshot -r tank/tree | awk '/@mine/ && $2 == 1 { print $1 }' | sort | xargs)"
ok "ticks go on" goes_on tank/tree/x

section "a grant that is missing"
held=$(held_ones tank/denied)
ok "zfs unallow" zfs unallow -u zam-snap tank/denied
ok "status says so" wait_for 300 status_says tank/denied 'permission denied .*zamctl grant --check'
refused_with 'tank/denied' "zamctl grant --check finds it" zamctl grant --check
count=$(snaps tank/denied | wc -l)
ok "the others go on" goes_on tank/ok
assert_eq "it does not" "$count" "$(snaps tank/denied | wc -l)"
ok "some were held" test -n "$held"
assert_eq "nor are holds lost" "" "$(lost_holds "$held" tank/denied)"
ok "the grant is back" sh -c 'zamctl grant --print | sh -e'
ok "it goes on" goes_on tank/denied
ok "all is well again" wait_for 300 all_fine

section "a pool that has stopped"
# On a file in a small tmpfs, whose room is then taken: what ZFS writes fails.
mkdir -p /var/tmp/small && mount -t tmpfs -o size=96M tmpfs /var/tmp/small
truncate -s 128M /var/tmp/small/stuck.img
zpool create -f -O mountpoint=none -o failmode=wait stuck /var/tmp/small/stuck.img
zfs create -V 64M -s stuck/vol
printf '[[managed-datasets]]\nsource = "stuck"\nrecursive = true\n' >>/etc/zam/zam.toml
zamctl grant --print | sh -e
systemctl reload zamd-snap zamd-prune
ok "it has snapshots" wait_for 300 has_more stuck/vol 0
dd if=/dev/zero of=/var/tmp/small/filler bs=1M 2>/dev/null || true
suspended() { [[ $(zpool list -H -o health stuck) == SUSPENDED || $(cat /proc/spl/kstat/zfs/stuck/state) == SUSPENDED ]]; }
ok "its volume is there" wait_for 300 test -e /dev/zvol/stuck/vol
(timeout 60 dd if=/dev/urandom of=/dev/zvol/stuck/vol bs=1M count=60 conv=fsync >/dev/null 2>&1 &)
ok "it is suspended" wait_for 300 suspended
for i in 1 2 3; do ok "tank goes on ($i)" goes_on tank/ok; done
ok "dozer too" goes_on dozer/mail
ok "zamctl status answers" timeout 120 sh -c 'zamctl status || test $? = 3'
printf '%s\n' "$LAB_OUTPUT"
rm /var/tmp/small/filler
ok "room is made, zpool clear" timeout 120 zpool clear stuck
ok "it goes on" goes_on stuck/vol
