#!/usr/bin/env bash
# A tree of fifty datasets, parents first; a chain of two hundred steps in one session.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none
make_pool nas 512M -O mountpoint=none
zfs create tank/tree
for i in {1..7}; do
    zfs create tank/tree/$i
    for j in {1..6}; do zfs create tank/tree/$i/$j; done
done
zfs snapshot -r tank/tree@s1
zfs create -o mountpoint=/mnt/long tank/long
for i in {1..200}; do echo "$i" >/mnt/long/file && zfs snapshot tank/long@s$i; done
copies_up <<'TOML'
[default.managed-datasets]
recursive = true
adopt = ["s[0-9]*"]
replication-period = "never"
[[managed-datasets]]
source = "tank/tree"
destinations = [{ remote-host = "olympus" }]
[[managed-datasets]]
source = "tank/long"
destinations = [{ remote-host = "olympus" }]
TOML
copy=nas/zam/lab/tank

section "fifty datasets"
ok "they are sent" zamctl replicate tank/tree -r --wait
assert_eq "all are there" "$(zfs list -H -p -o guid -t snapshot -r tank/tree | sort)" "$(zfs list -H -p -o guid -t snapshot -r $copy/tree | sort)"
assert_eq "fifty of them" 50 "$(zfs list -H -o name -r $copy/tree | wc -l)"
assert_eq "held" "" "$(unheld $copy/tree)"
# In the pool's own order: nothing was made before what is above it.
assert_eq "parents came first" "" "$(zfs list -H -p -o name,createtxg -r $copy/tree | awk -F '\t' '
    { txg[$1] = $2 } END { for (name in txg) { up = name; sub("/[^/]*$", "", up); if (up in txg && txg[up] > txg[name]) print name } }')"

section "looking, where nothing is to be sent"
zfs snapshot tank/tree/1/1@s2
ok "control: where something is sent, a process is started" test "$(execs tank/tree/1/1)" -gt 0
# zamd-recv looks once more, five seconds after the last arrived.
sleep 10
one=$(execs tank/tree/1/1)
many=$(execs tank/tree -r)
note "programs started: $one for one dataset, $many for fifty"
ok "for many as few as for one" test "$many" -le "$one"

section "two hundred steps"
before=$SECONDS
ok "they are sent" zamctl replicate tank/long --wait
note "$((SECONDS - before)) s"
assert_eq "each, in its order" "$(guids tank/long)" "$(guids $copy/long)"
assert_eq "each by itself" 200 "$(audit zamd-recv | grep -c '^receive . done . nas/zam/lab/tank/long@')"
alike "tank/long" tank/long $copy/long
assert_eq "over one way in: of all sessions so far, few" yes "$( (($(journalctl -b -t sshd -t sshd-session -o cat --no-pager | grep -c 'Accepted publickey for zam-ssh') <= 8)) && echo yes)"
