#!/usr/bin/env bash
# Daemons and workers are killed and restarted, again and again, while they take, hold, release and destroy. What policy keeps is
# there and held; what must be remembered is.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none
zfs create tank/data && for i in $(seq 4); do zfs create tank/data/$i; done
zam_up <<'TOML'
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
dead() { zpool history -i tank | grep -c ' destroy ' || true; }
taken() { zpool history -i tank | grep -c ' snapshot tank/data@' || true; }
more() { (($($1) > $2)); }
pid() { systemctl show -p MainPID --value "$1"; }
worker() { pgrep -P "$(pid "$1")" -f 'worker tank'; }
notes_good() { jq -e . /var/lib/zam/{snap,prune}/notes.json; }

section "at work"
ok "snapshots come, and go" wait_for 400 more dead 0

section "killed and restarted"
for round in 1 2; do
    before=$(taken)
    for daemon in zamd-snap zamd-prune; do
        sleep "0.$((RANDOM % 10))"
        systemctl kill -s KILL --kill-whom=all $daemon
        ok "round $round: $daemon killed: notes are whole" notes_good
        ok "started" systemctl start $daemon
    done
    ok "ticks go on" wait_for 300 more taken "$before"
    sleep "1.$((RANDOM % 10))"
    ok "restarted in the middle of things" systemctl restart zamd-snap zamd-prune
    ok "notes are whole" notes_good
done

section "a worker dies"
for daemon in zamd-snap zamd-prune; do
    ok "$daemon has one" wait_for 300 worker $daemon
    main=$(pid $daemon) old=$(worker $daemon)
    kill -9 "$old"
    another() { local now; now=$(worker $daemon) && [[ $now != "$old" ]]; }
    ok "it gets another" wait_for 300 another
    assert_eq "the daemon is the same" "$main" "$(pid $daemon)"
done
before=$(taken) gone=$(dead)
ok "ticks go on" wait_for 300 more taken "$before"
ok "thinning goes on" wait_for 400 more dead "$gone"

section "a daemon hangs"
ok "there is a watchdog" test "$(systemctl show -p WatchdogUSec --value zamd-snap)" = 2min
mkdir -p /run/systemd/system/zamd-prune.service.d
printf '[Service]\nWatchdogSec=20s\nRestartSec=1s\n' >/run/systemd/system/zamd-prune.service.d/lab.conf
systemctl daemon-reload && systemctl restart zamd-prune
main=$(pid zamd-prune)
kill -STOP "$main"
other() { local now; now=$(pid zamd-prune); [[ $now != 0 && $now != "$main" ]]; }
ok "the watchdog ends it, and it is started again" wait_for 300 other
rm /run/systemd/system/zamd-prune.service.d/lab.conf && systemctl daemon-reload

section "in the end"
gone=$(dead)
ok "thinning goes on" wait_for 400 more dead "$gone"
for i in 1 2 4; do ok "tank/data/$i: what policy keeps is held" wait_for 300 kept_held tank/data/$i; done
systemctl stop zamd-snap zamd-prune
for i in 1 2 3; do assert_eq "tank/data/$i: nothing that policy keeps is gone" "" "$(lost_firsts tank/data/$i 60)"; done
assert_eq "each tick was one transaction" "" \
    "$(zfs list -H -o name,createtxg -t snapshot -r tank/data | sed 's/.*@//' | sort -u | cut -f 1 | uniq -d)"
assert_eq "nothing but snapshots was destroyed" "" "$(zpool history -i tank | grep ' destroy ' | grep -v '@zam-' || true)"
note "$(taken) ticks, $(dead) deaths"
