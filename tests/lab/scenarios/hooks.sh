#!/usr/bin/env bash
# A program before and after snapshots, started by systemd as a user of the admin's choice: it goes well, fails, hangs, and
# those that take part are killed in between. `after` runs every time, and other entries' ticks go on.
source "${ZAM_LAB:-/root/lab}/lib.sh"

LOG=/var/lib/lab-hook
make_pool tank 256M -O mountpoint=none
zfs create tank/db && zfs create tank/home
install_zam >/dev/null
make_user lab-hook
install -d -o lab-hook -m 755 "$LOG"
cat >/etc/zam/hooks/db <<'SH'
#!/bin/sh
# What the file `mode` says: well, fails, hangs.
log=/var/lib/lab-hook
echo "$1 $(id -un) ${ZAM_SNAPSHOT:--} ${ZAM_DATASETS:--}" >>$log/log
[ "$1" = before ] || exit 0
case $(cat $log/mode) in
well) sleep 3600 & ;;
fails) exit 7 ;;
hangs) sleep 3600 ;;
esac
SH
chmod 755 /etc/zam/hooks/db
mode() { echo "$1" >"$LOG/mode" && : >"$LOG/log"; }
mode well
chmod 666 "$LOG/log" "$LOG/mode"
mkdir -p /etc/systemd/system/zam-hook@db.service.d
printf '[Service]\nUser=lab-hook\n' >/etc/systemd/system/zam-hook@db.service.d/user.conf
systemctl daemon-reload
# config ON_FAILURE
config() {
    cat <<TOML
[default.managed-datasets]
snapshot-period = "5s"
prune-period = "never"
silence = 0
[[managed-datasets]]
source = "tank/home"
[[managed-datasets]]
source = "tank/db"
hook = { name = "db", timeout = "10s", on-failure = "$1" }
TOML
}
befores() { grep -c '^before ' "$LOG/log" || true; }
afters() { grep -c '^after ' "$LOG/log" || true; }
# balanced COUNT: so many were run at least, and each has its end; the first end may be of one before the log began.
balanced() { (($(befores) >= $1 && $(afters) >= $(befores))); }
begun() { grep -q '^before ' "$LOG/log"; }
ended() { [[ $(tail -n 1 "$LOG/log") == after* ]]; }
# Whatever the hook left running.
left() { pgrep -u lab-hook -x sleep || true; }
no_left() { [[ -z $(left) ]]; }

section "nobody answers yet"
config take >/etc/zam/zam.toml
ok "the grants" sh -c 'zamctl grant --print | sh -e'
ok "systemctl enable --now" systemctl enable --now zamd-snap zamd-prune
ok "taken all the same" wait_for 120 has_more tank/db 0
ok "the status says what to do" wait_for 60 status_says tank/db 'systemctl enable --now zam-hook@db.socket'
ok "what it says is done" systemctl enable --now zam-hook@db.socket
assert_eq "the socket is zam-snap's alone" "600 zam-snap" "$(stat -c '%a %U' /run/zam/hook/db.sock)"

section "it goes well"
mode well
ok "a tick with its hook" wait_for 120 balanced 2
first=$(grep -m 1 ^before "$LOG/log")
assert_match "as the user of the admin's choice, with what it is for" '^before lab-hook zam-[0-9]+T[0-9]+Z tank/db$' "$first"
tag=$(cut -d ' ' -f 3 <<<"$first")
ok "that snapshot is there, and held" wait_for 60 held "tank/db@$tag" zam
ok "the problem is over" wait_for 60 not status_says tank/db 'hook'
ok "zamctl snapshot has it run too" zamctl snapshot tank/db
assert_match "for that name" 'before lab-hook zam-manual-' "$(cat "$LOG/log")"

section "it fails"
mode fails
before=$(snaps tank/db | wc -l)
ok "taken all the same" wait_for 120 has_more tank/db "$before"
ok "the status says so" wait_for 60 status_says tank/db 'taken all the same: exit status: 7'
ok "and has its end each time" wait_for 60 balanced 1
unprepared() { [[ $(zamctl explain "tank/db@$(snaps tank/db | tail -n 1)") == *'not prepared: the hook db failed'* ]]; }
ok "explain says of the snapshot" wait_for 120 unprepared
config skip | zam_config
ok "the status says that it is not taken" wait_for 120 status_says tank/db 'which is not taken: exit status: 7'
before=$(snaps tank/db | wc -l) home=$(snaps tank/home | wc -l)
ok "others' ticks go on" wait_for 120 has_more tank/home "$((home + 2))"
assert_eq "its own does not" "$before" "$(snaps tank/db | wc -l)"

section "it hangs"
mode hangs
home=$(snaps tank/home | wc -l)
ok "before is called" wait_for 120 begun
ok "others' ticks go on" wait_for 120 has_more tank/home "$home"
ok "it is killed when its time is over" wait_for 120 status_says tank/db 'did not end within 10 s'
ok "and has its end" wait_for 60 grep -q '^after lab-hook zam-' "$LOG/log"

section "zamd-snap is killed in between"
mode hangs
ok "before is called" wait_for 120 begun
systemctl kill -s KILL --kill-whom=all zamd-snap
ok "after runs" wait_for 60 ended
systemctl start zamd-snap

section "zam-hook is killed in between"
mode hangs
ok "before is called" wait_for 120 begun
killed() {
    systemctl kill -s KILL --kill-whom=main zam-hook@db.service || true
    wait_for 10 grep -q '^after lab-hook - -$' "$LOG/log"
}
ok "systemd runs after, which knows no name" wait_for 120 killed
mode well
ok "and the next one is served" wait_for 120 balanced 1
systemctl stop zamd-snap
ok "what it left running ended with it" wait_for 60 no_left

section "what it cannot do (R-HOOK-1 R-HOOK-3)"
socket='use IO::Socket::UNIX; IO::Socket::UNIX->new(Peer => "/run/zam/hook/db.sock") or die "$!\n"'
for user in nobody zam-prune lab-hook; do
    refused_with 'Permission denied' "$user cannot ask" as "$user" perl -e "$socket"
done
ok "zam-snap can" as zam-snap perl -e "$socket"
cat >/etc/zam/hooks/db <<'SH'
#!/bin/sh
box=/var/lib/lab-hook/box
{ ls /dev/zfs; grep -E '^(Cap|NoNew)' /proc/self/status; } >$box.$$ 2>&1
mv $box.$$ $box
SH
systemctl start zamd-snap
ok "from inside" wait_for 120 grep -q NoNewPrivs "$LOG/box"
assert_match "no /dev/zfs" "ls: cannot access '/dev/zfs'" "$(cat "$LOG/box")"
assert_match "no way up" 'NoNewPrivs:.*1' "$(cat "$LOG/box")"
assert_eq "no capability" "" "$(grep ^Cap "$LOG/box" | grep -v '0000000000000000$' || true)"
