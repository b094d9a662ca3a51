#!/usr/bin/env bash
# What is wrong is heard, without anybody reading a log: a daemon that is killed, a dataset and a copy that grow stale, at the
# next log-in, and that it is over; what zam-watch cannot do by hand.
source "${ZAM_LAB:-/root/lab}/lib.sh"

# alarm KIND ABOUT
alarm() { { zamctl alerts --json || true; } | tr -d ' \n' | grep -q "\"kind\":\"$1\",\"level\":\"[a-z]*\",\"place\":\"[^\"]*\",\"about\":\"$2\""; }
# A zamctl that cannot say is no answer.
no_alarm() { [[ $(zamctl alerts --json || true) == \[* ]] && ! alarm "$@"; }
no_alarms() { [[ $(zamctl alerts --json) == '[]' ]]; }
# login USER: what a log-in shell of this user says
login() { script -qec "su -l -s /bin/bash $1 -c 'bash -lic true'" /dev/null </dev/null 2>&1 | tr -d '\r' || true; }
says() { [[ $(login root) == *"$1"* ]]; }
says_nothing() { [[ $(login "${1:-root}") != *zam:* ]]; }

make_pool tank 256M -O mountpoint=none
zfs create tank/home
make_pool usb 256M -O mountpoint=none
install_zam >/dev/null
echo smtp://127.0.0.1:2525 >/etc/zam/credentials/smtp
# Whoever keeps the output open keeps the lab waiting.
"$ZAM_LAB/bin/sink" smtp 2525 /root/mails >/dev/null 2>&1 </dev/null &
"$ZAM_LAB/bin/sink" http 8080 /root/posts >/dev/null 2>&1 </dev/null &
mailed() { grep -aq "$1" /root/mails; }
posted() { grep -aq "$1" /root/posts; }
cat >/etc/zam/zam.toml <<'TOML'
[[managed-datasets]]
source = "tank/home"
snapshot-period = "10s"
stale-after = "40s"
windows = [{ max-age = "2d", period = "10s" }]
TOML
cat >/etc/zam/zam.d/watch.toml <<'TOML'
[watch]
mail = { to = ["admin@example.org"], from = "zam@example.org", smtp = "credential:smtp" }
webhook = "http://127.0.0.1:8080/hook"
ping = { url = "http://127.0.0.1:8080/ping", period = "10s" }
TOML
ok "the grants" sh -c 'zamctl grant --print | sh -e'
ok "systemctl enable --now" systemctl enable --now zamd-snap zamd-prune zamd-watch
ok "snapshots come" wait_for 120 has_more tank/home 0
ok "all is well" wait_for 120 no_alarms
all_well() { [[ $(as nobody zamctl alerts) == 'All is well.' ]]; }
ok "zamctl alerts, as anybody" wait_for 120 all_well
ok "pings come" wait_for 60 posted "GET /ping"
ok "a log-in shell is silent" wait_for 120 says_nothing

section "killed"
ok "kill -9" systemctl kill -s KILL zamd-snap.service
if (($(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p') >= 254)); then
    ok "its failure is an alarm" wait_for 120 alarm failed zamd-snap.service
    assert_match "with the end of the log" "status=9/KILL" "$(zamctl alerts)"
    ok "heard at the next log-in" wait_for 60 says "zamd-snap.service: it failed"
    note "$(login root)"
    ok "also by others" test -n "$(login nobody | grep -a 'it failed')"
    ok "I know" zamctl alerts --ack
    hushed() { zamctl alerts --ack && says_nothing; }
    ok "then it is silent" wait_for 60 hushed
    ok "for me alone" test -n "$(login nobody | grep -a 'it failed')"
    refused "nobody cannot say so for all" as nobody zamctl alerts --ack --all
    ok "root can" zamctl alerts --ack --all
    hushed_all() { zamctl alerts --ack --all && says_nothing nobody; }
    ok "then for everybody" wait_for 60 hushed_all
fi

section "stopped: down and stale"
systemctl stop zamd-snap.service
ok "down" wait_for 180 alarm down zamd-snap
ok "stale, by its own listing" wait_for 180 alarm stale tank/home
assert_eq "for monitoring it is critical" 2 "$(zamctl health >/dev/null; echo $?)"
note "$(zamctl health || true)"
ok "by mail, from a server on the loopback, with a credential" wait_for 120 mailed "tank/home: no good snapshot"
note "$(cat /root/mails)"
ok "by webhook" wait_for 60 posted '"kind":"stale"'
zamctl alerts || true
ok "heard at the next log-in" wait_for 60 says "tank/home: no good snapshot"
note "$(login root)"
ok "the journal has it" sh -c 'journalctl -t zamd-watch | grep -q "critical: tank/home"'
systemctl kill -s KILL zamd-watch.service
ok "the watcher itself: its alarms outlive it" wait_for 120 alarm stale tank/home
systemctl start zamd-snap.service
ok "that it is over" wait_for 180 no_alarm stale tank/home
ok "the end, by mail" wait_for 120 mailed "over: "
ok "and down is" wait_for 60 no_alarm down zamd-snap

section "a copy that nothing arrives of"
sed -i 's/snapshot-period = "10s"/snapshot-period = "20s"/; s/^stale-after = .*/stale-after = "5m"/; s/period = "10s" }/period = "20s" }/' /etc/zam/zam.toml
cat >>/etc/zam/zam.toml <<'TOML'
destinations = [{ pool = "usb", dataset = "copies", stale-after = "80s" }]
replication-period = "20s"
[[replicas]]
client = "here"
root = "usb/copies"
stale-after = "80s"
TOML
ok "a good config" zamctl check
ok "its grants" sh -c 'zamctl grant --print | sh -e && zamctl grant --print --replica | sh -e'
ok "all read it" systemctl reload zamd-snap zamd-prune zamd-watch
ok "copies go" systemctl enable --now zamd-send zamd-recv
ok "one arrives" wait_for 180 has_more usb/copies/tank/home 0
ok "neither side misses anything" wait_for 180 no_alarm behind tank/home
systemctl stop zamd-recv.service
ok "the source misses it" wait_for 300 alarm behind tank/home
ok "the replica misses it" wait_for 300 alarm quiet usb/copies/tank/home
ok "not of what only stands above it" no_alarm quiet usb/copies/tank
assert_match "with what to do" "zamctl replicate tank/home" "$(zamctl alerts)"
zamctl alerts || true
systemctl start zamd-recv.service
# Emulated, a step takes seconds, and there is one for each snapshot.
ok "what it says to do is right" zamctl replicate tank/home --to usb/copies --wait
ok "that it is over" wait_for 300 no_alarm behind tank/home
ok "on both sides" wait_for 120 no_alarm quiet usb/copies/tank/home

section "each other way to crash, and who is left"
# crashed ROLE SIGN: systemd says so of it
crashed() {
    ok "its failure is an alarm" wait_for 180 alarm failed "zamd-$1.service"
    assert_match "with the end of the log" "$2" "$(zamctl alerts | grep -A 20 "zamd-$1.service")"
    ok "heard at the next log-in" wait_for 60 says "zamd-$1.service: it failed"
    ok "by mail" wait_for 120 mailed "zamd-$1.service: it failed"
    ok "it runs again" wait_for 180 systemctl is-active -q "zamd-$1"
}
if (($(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p') >= 254)); then
    note "zamd-prune, out of memory"
    systemctl set-property --runtime zamd-prune.service MemoryMax=600K MemorySwapMax=0
    zamctl prune >/dev/null 2>&1 || true
    ok "the kernel ends it" wait_for 120 sh -c 'journalctl -u zamd-prune -o cat | grep -q "oom-kill"'
    systemctl set-property --runtime zamd-prune.service MemoryMax=infinity
    crashed prune oom-kill
    note "zamd-send, as when it panics"
    systemctl kill -s ABRT zamd-send.service
    crashed send 'ABRT|core-dump'
    note "zamd-recv, killed"
    systemctl kill -s KILL zamd-recv.service
    crashed recv 'status=9/KILL'
fi

section "what a log-in shell takes longer for it"
# took CMD: sets TOOK to the microseconds that an interactive shell with that takes
took() {
    local began=${EPOCHREALTIME/[.,]/}
    bash --norc -ic "$1" </dev/null >/dev/null 2>&1 || true
    TOOK=$((${EPOCHREALTIME/[.,]/} - began))
}
# by_turns FILE: sets BARE and FULL to the least that a shell of fifty takes without and with it, a turn each: the machine pauses now and
# then.
by_turns() {
    BARE=999999999 FULL=999999999
    for _ in {1..50}; do
        took : && ((TOOK >= BARE)) || BARE=$TOOK
        took ". $1" && ((TOOK >= FULL)) || FULL=$TOOK
    done
}
sed 's|/run/zam/watch/login/alarms|/run/no-alarms|g' /etc/profile.d/zam.sh >/root/well.sh
by_turns /etc/profile.d/zam.sh
note "when something is wrong: $FULL µs, the shell alone $BARE"
by_turns /root/well.sh
note "when all is well: $FULL µs, the shell alone $BARE"
ok "when all is well, at most half as long again" test "$FULL" -le $((BARE * 3 / 2))

section "R-WATCH-3 zam-watch by hand"
snapshot=$(zfs list -H -o name -s createtxg -t snapshot tank/home | tail -n 1)
zfs snapshot tank/home@mine
refused "snapshot" as zam-watch zfs snapshot tank/home@x
refused "hold" as zam-watch zfs hold x tank/home@mine
refused_with "permission denied" "release" as zam-watch zfs release zam "$snapshot"
refused "destroy" as zam-watch zfs destroy tank/home@mine
refused "rollback" as zam-watch zfs rollback -r tank/home@mine
refused "send" as zam-watch sh -c 'zfs send tank/home@mine >/dev/null'
refused "bookmark" as zam-watch zfs bookmark tank/home@mine tank/home#x
# zfs ends with 255 there.
refused_with "permission denied" "set" as zam-watch sh -c 'zfs set compression=off tank/home || exit 1'
refused "create" as zam-watch zfs create tank/home/x
ok "it may look" as zam-watch zfs list tank/home@mine
ok "and root may: destroy" zfs destroy tank/home@mine
ok "release" zfs release zam "$snapshot"

section "R-WATCH-4 zam-watch at the doors and the others' files"
for role in snap prune send recv; do
    ok "$role: it may ask how it is" as zam-watch sh -c "test -w /run/zam/$role/status.sock"
    refused "$role: not by the control door" as zam-watch sh -c "test -w /run/zam/$role/control.sock"
    refused "$role: not its notes" as zam-watch ls /var/lib/zam/$role
done
refused "act" as zam-watch zamctl snapshot tank/home
refused "nor replace a socket" as zam-watch mv /run/zam/watch/status.sock /run/zam/watch/x
refused "nor the config" as zam-watch sh -c ': >>/etc/zam/zam.toml'
journal="journalctl -q -n 1 -t zamd-snap 2>/dev/null | grep ."
ok "root may read the journal" sh -c "$journal"
refused "zam-watch may not" as zam-watch sh -c "$journal"
