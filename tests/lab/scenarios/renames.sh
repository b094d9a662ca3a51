#!/usr/bin/env bash
# What root does to datasets while zam keeps them: renamed, destroyed, rolled back. And how zam gets out of the way for good.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 256M -O mountpoint=none
for dataset in a b tree tree/x tree/y; do zfs create tank/$dataset; done
zam_up <<'TOML'
[default.managed-datasets]
snapshot-period = "5s"
prune-period = "5s"
silence = 0
windows = [{ max-age = "1d", period = "1s" }]
[[managed-datasets]]
source = "tank/a"
[[managed-datasets]]
source = "tank/b"
[[managed-datasets]]
source = "tank/tree"
recursive = true
TOML
line=$(grep -n '"tank/a"' /etc/zam/zam.toml | cut -d : -f 1)
unknown() { status_json | jq -e --arg dataset "$1" '[.datasets[] | select(.dataset == $dataset)] == []'; }
held_some() { [[ -n $(held_ones "$1") ]]; }
for dataset in a b tree/x; do
    ok "tank/$dataset has snapshots" wait_for 300 has_more tank/$dataset 1
    ok "and holds" wait_for 300 held_some tank/$dataset
done

section "a dataset is renamed"
held=$(held_ones tank/a)
ok "zfs rename" zfs rename tank/a tank/new
before=$(snaps tank/new)
ok "status says so, with the line to change" wait_for 300 status_says tank/a \
    "renamed: write source = \"tank/new\" in /etc/zam/zam.toml:($((line - 1))|$line)"
note "$(status_row tank/a '.why[0]')"
assert_eq "its snapshots are there" "$before" "$(snaps tank/new)"
assert_eq "held, each that was" "" "$(lost_holds "$held" tank/new)"
sed -i 's|"tank/a"|"tank/new"|' /etc/zam/zam.toml
ok "the line is changed" systemctl reload zamd-snap zamd-prune
ok "its grants went with it" zamctl grant --check
ok "ticks go on" wait_for 300 has_more tank/new "$(wc -l <<<"$before")"
assert_eq "and the old ones are there" "$before" "$(snaps tank/new | head -n "$(wc -l <<<"$before")")"
ok "status says nothing any more" wait_for 300 status_says tank/new '^ok'
ok "all are held" wait_for 300 all_held tank/new
ok "tank/a is forgotten" wait_for 300 unknown tank/a

section "root destroys and rolls back"
held=$(held_ones tank/b)
refused "zfs destroy -r of what is held" zfs destroy -r tank/b
assert_eq "what was held is there, and is held" "" "$(lost_holds "$held" tank/b)"
refused "unhold is not for anybody" as nobody zamctl unhold tank/b
ok "zamctl unhold" zamctl unhold tank/b
assert_eq "none is held" "" "$(held_ones tank/b)"
ok "status says that it is paused" wait_for 300 status_says tank/b 'paused by root: zamctl unhold tank/b --undo'
ok "--undo" zamctl unhold tank/b --undo
ok "they are held again" wait_for 300 all_held tank/b
ok "zamctl unhold" zamctl unhold tank/b
first=$(snaps tank/b | head -n 1)
ok "zfs rollback -r" zfs rollback -r "tank/b@$first"
ok "zfs destroy -r" zfs destroy -r tank/b
ok "status names the line of the config" wait_for 300 status_says tank/b 'there is no such dataset: see source in /etc/zam/zam.toml:[0-9]+'
ok "zamctl unhold -r below an entry" zamctl unhold tank/tree/x -r
ok "zfs destroy -r" zfs destroy -r tank/tree/x
count=$(snaps tank/tree/y | wc -l)
ok "the others go on" wait_for 300 has_more tank/tree/y "$count"
ok "what is gone below an entry is no matter" wait_for 300 unknown tank/tree/x

section "away with zam"
pin=tank/tree/y@$(snaps tank/tree/y | head -n 1)
ok "somebody pins one" zamctl keep "$pin" --why "a lab"
ok "zamctl uninstall --print" zamctl uninstall --print
ok "| sh" sh -c 'zamctl uninstall --print | sh -e'
# The first list is made before it stops the daemons, which go on taking and holding until then.
ok "and what was taken meanwhile" sh -c 'zamctl uninstall --print | sh -e'
before=$(zfs list -H -o name,guid -t snapshot -r tank)
ok "there are snapshots" test -n "$before"
assert_eq "nothing runs" "" "$(pgrep -a -u zam-snap,zam-prune || true)"
assert_eq "no hold but the pin" "$pin zam-keep" \
    "$(zfs list -H -o name -t snapshot -r tank | xargs zfs holds -H | awk '{ print $1, $2 }')"
assert_eq "no grant" "" "$(for dataset in $(zfs list -H -o name -r tank); do zfs allow "$dataset"; done | grep zam- || true)"
ok "the pool is root's again" zfs release zam-keep "$pin"
ok "all of it" zfs destroy -r tank/tree
