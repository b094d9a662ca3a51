#!/usr/bin/env bash
# Two keys: whoever has one of them destroys nothing that policy keeps. First a shell as zam-snap, which releases
# everything; then a zamd-prune with a policy of its own.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none
zfs create tank/data && zfs create tank/data/child && zfs create -s -V 16M tank/data/vol
zam_up <<'TOML'
[default.managed-datasets]
snapshot-period = "15s"
prune-period = "5s"
grace = "5s"
silence = 0
[[managed-datasets]]
source = "tank/data"
recursive = true
windows = [{ max-age = "1d", period = "15s" }]
TOML

all() { zfs list -H -o name,guid -s name -t snapshot -r tank/data; }
names() { zfs list -H -o name -t snapshot -r tank/data; }
# all_held / none_held: by tag `zam`
all_held() { ! names | xargs zfs holds -H | cut -f 2 | sort | uniq -c | grep -qv ' zam$' && (($(names | wc -l) == $(names | xargs zfs holds -H | wc -l))); }
none_held() { [[ -z $(names | xargs zfs holds -H) ]]; }
at_least() { (($(names | wc -l) >= $1)); }

section "snapshots that policy keeps, held"
ok "some ticks came" wait_for 300 at_least 9
ok "all are held" wait_for 300 all_held
ok "and one that is soon over: for zamd-prune's own part" zamctl snapshot tank/data/child --name short --for 30s
ok "which is not the newest" zamctl snapshot tank/data/child --name after

section "a shell as zam-snap releases everything"
systemctl stop zamd-snap
kept=$(all | grep -v '@short')
# Those that are held: on a slow machine @short may have been let go already.
# shellcheck disable=SC2046 # words
ok "with plain zfs" as zam-snap zfs release zam $(names | xargs zfs holds -H | cut -f 1)
ok "nothing is held" none_held
ok "control: zamd-prune is at work: it destroys what has expired" wait_for 300 gone tank/data/child@short
ok "and goes on, for its grace and longer" goes_round zamd-prune tank 3
assert_eq "R-SNAP-8 and nothing that policy keeps" "$kept" "$(all)"
ok "it runs" systemctl is-active zamd-prune
ok "zamd-snap is started" systemctl start zamd-snap
ok "R-SNAP-8 and holds all of it again" wait_for 300 all_held
assert_eq "all of it is there" "$kept" "$(all | grep -F "$kept")"

section "a zamd-prune with a policy of its own"
systemctl stop zamd-snap zamd-prune
kept=$(all)
mkdir -p /var/tmp/evil/run /var/tmp/evil/state
cat >/var/tmp/evil/zam.toml <<'TOML'
clock = "trust"
[[managed-datasets]]
source = "tank/data"
recursive = true
snapshot-period = "1s"
prune-period = "2s"
grace = "1s"
brake = 100
silence = 0
windows = [{ max-age = "1s", period = "1s" }]
TOML
chmod 755 /var/tmp/evil && chmod 644 /var/tmp/evil/zam.toml
chown -R zam-prune: /var/tmp/evil/run /var/tmp/evil/state
runuser -u zam-prune -- /usr/bin/zamd-prune --config /var/tmp/evil/zam.toml --runtime-dir /var/tmp/evil/run --state-dir /var/tmp/evil/state \
    >/var/tmp/evil/log 2>&1 &
evil=$!
ok "it runs" wait_for 300 test -S /var/tmp/evil/run/prune/status.sock
# Each that goes is a round in which it would have destroyed the others too.
for dataset in tank/data/child tank/data/vol tank/data; do
    victim=$dataset@$(snaps $dataset | head -n 1)
    ok "control: root takes the hold off one of $dataset" zfs release zam "$victim"
    ok "control: and that one goes" wait_for 300 gone "$victim"
    kept=$(grep -v "^$victim"$'\t' <<<"$kept")
    assert_eq "R-PRUNE-10 and no other, which is held" "$kept" "$(all)"
done
note "$(tail -n 3 /var/tmp/evil/log | tr '\n' ';')"
kill $evil
wait $evil || true

section "the other way around: two users, neither alone"
refused "R-SNAP-1 zam-snap destroys none, held or not" as zam-snap zfs destroy "tank/data@$(snaps tank/data | head -n 1)"
refused "R-PRUNE-2 zam-prune releases none" as zam-prune zfs release zam "tank/data@$(snaps tank/data | head -n 1)"
drop_pool tank
