#!/usr/bin/env bash
# What goes wrong in a copy's life: a replica that is full, a quota, one out of reach for long, a stale token, a source that was rolled
# back. Nothing is lost, it says what it needs, and it goes on.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none -O compression=off
make_pool nas 512M -O mountpoint=none
for name in full quota away stale back; do
    zfs create -o mountpoint=/mnt/$name tank/$name
    echo one >/mnt/$name/file
    zfs snapshot tank/$name@s1
done
copies_up <<'TOML'
clock = "trust"
[default.managed-datasets]
adopt = ["s[0-9]*"]
replication-period = "never"
prune-period = "2s"
grace = "2s"
silence = 0
[[managed-datasets]]
source = "tank/full"
destinations = [{ remote-host = "olympus" }]
[[managed-datasets]]
source = "tank/quota"
destinations = [{ remote-host = "olympus" }]
[[managed-datasets]]
source = "tank/stale"
destinations = [{ remote-host = "olympus", bandwidth = "1M" }]
[[managed-datasets]]
source = "tank/back"
destinations = [{ remote-host = "olympus" }]
[[managed-datasets]]
source = "tank/away"
adopt = []
snapshot-period = "never"
replication-period = "5s"
windows = [{ max-age = "20s", period = "2s" }]
destinations = [{ remote-host = "olympus", keep = { yearly = 5 } }]
TOML
copy=nas/zam/lab/tank
ok "control: all arrive" zamctl replicate --wait
for name in full quota stale back; do ok "control: tank/$name is there" exists $copy/$name@s1; done

section "a replica that is full"
zfs create -o refreservation=$(($(zfs get -H -p -o value available nas) - 30000000)) nas/filler
dd if=/dev/urandom of=/mnt/full/big bs=1M count=40 status=none && zfs snapshot tank/full@s2
lab_try zamctl replicate tank/full --wait
assert_match "it is not sent" 'room|space' "$LAB_OUTPUT"
note "$LAB_OUTPUT"
ok "nor there" gone $copy/full@s2
ok "and the status says so" wait_for 60 copy_is tank/full 'room|space'
zfs destroy nas/filler
ok "control: with room it arrives" zamctl replicate tank/full --wait
alike "tank/full" tank/full $copy/full

section "a quota"
used=$(zfs get -H -p -o value used nas/zam/lab)
zfs set quota=$((used + 12 * 1024 * 1024)) nas/zam/lab
dd if=/dev/urandom of=/mnt/quota/big bs=1M count=30 status=none && zfs snapshot tank/quota@s2
lab_try zamctl replicate tank/quota --wait
assert_match "it is not sent" 'room|space|quota' "$LAB_OUTPUT"
note "$LAB_OUTPUT"
ok "the rest of the pool is free for others" test "$(zfs get -H -p -o value available nas)" -gt 30000000
zfs set quota=none nas/zam/lab
ok "control: without it it arrives" zamctl replicate tank/quota --wait
alike "tank/quota" tank/quota $copy/quota

section "what a cut stream left, of a snapshot that is gone"
dd if=/dev/urandom of=/mnt/stale/big bs=1M count=40 status=none && zfs snapshot tank/stale@s2
zamctl replicate tank/stale
partly() { [[ $(zfs get -H -o value receive_resume_token $copy/stale) == 1-* ]]; }
sent() { (($(copy tank/stale '.running.bytes // 0') > 2000000)); }
ok "it is on its way" wait_for 120 sent
pkill -KILL -u zam-ssh -x zam-receive || true
ok "it was cut, and has left something" wait_for 120 partly
destroy tank/stale@s2
echo later >/mnt/stale/later && zfs snapshot tank/stale@s3
ok "the next one clears it" wait_for 300 bash -c "zamctl replicate tank/stale --wait && zfs list $copy/stale@s3"
assert_match "which stands in the trail" 'clear . done . nas/zam/lab/tank/stale' "$(audit zamd-recv | grep '^clear' | xargs -d '\n')"
alike "tank/stale" tank/stale $copy/stale

section "out of reach for long, while the source thins"
take() { for _ in {1..6}; do zfs snapshot "tank/away@$(date -u +zam-%Y%m%dT%H%M%SZ)" 2>/dev/null && date >/mnt/away/file; sleep 2; done; }
take
ok "one is there" wait_for 120 bash -c "zfs list -H -o name -t snapshot $copy/away | grep -q @zam-"
ok "calm" wait_for 120 copy_is tank/away '"lag_snapshots":0'
last=$(snaps $copy/away | tail -n 1) identity=$(guid $copy/away)
sed -i 's/HostName 127.0.0.1/HostName 127.0.0.1\n    Port 9/' /etc/zam/ssh_config
as_master_gone() { pkill -u zam-send -x ssh || true; }
as_master_gone
take
ok "the source has thinned away what the replica has" wait_for 300 gone "tank/away@$last"
ok "a bookmark of it is left" bash -c "zfs list -H -p -o guid -t bookmark tank/away | grep -qx $(guid "$copy/away@$last")"
ok "and the status says that the other side is not reached" wait_for 120 copy_is tank/away 'olympus|refused|reach'
note "$(zamctl status tank/away | sed '1!s/^/   | /')"
for _ in 1 2; do take; done
assert_eq "it has not filled up: snapshots" yes "$( (($(snaps tank/away | wc -l) <= 16)) && echo yes || snaps tank/away | wc -l)"
assert_eq "nor with bookmarks" yes "$( (($(zfs list -H -o name -t bookmark tank/away | wc -l) <= 8)) && echo yes)"
sed -i '/Port 9/d' /etc/zam/ssh_config
ok "control: in reach again" wait_for 300 bash -c "zamctl replicate tank/away --wait; [ \"\$(zfs list -H -p -o guid -t snapshot -s createtxg $copy/away | tail -n 1)\" != $(guid "$copy/away@$last") ]"
assert_eq "it went on where it was, and sent nothing anew" "$identity" "$(guid $copy/away)"
ok "what it had is there" held "$copy/away@$last" zam

section "the source was rolled back"
echo two >/mnt/back/file && zfs snapshot tank/back@s2
ok "control: it is sent" zamctl replicate tank/back --wait
branch=$(guid $copy/back@s2)
zfs release zam tank/back@s2 || true
ok "root rolls it back" zfs rollback -r tank/back@s1
echo other >/mnt/back/file && zfs snapshot tank/back@s3
lab_try zamctl replicate tank/back --wait
note "$LAB_OUTPUT"
ok "nothing is forced" exists $copy/back@s2
ok "nor sent" gone $copy/back@s3
ok "the status says what happened" wait_for 60 copy_is tank/back '"state":"diverged"'
assert_eq "and what both have, and what the replica has beyond" "s1 s2" "$(copy tank/back '[.common, .beyond[]] | join(" ")')"
note "$(zamctl status tank/back | sed '1!s/^/   | /')"
lab_try zamctl replicate --rotate tank/back --to olympus
note "$(sed '1!s/^/   | /' <<<"$LAB_OUTPUT")"
grep -vE '^(zamctl|#|$)' <<<"$LAB_OUTPUT" >/var/tmp/rotate.sh
ok "the replica's admin types what it prints" sh -e /var/tmp/rotate.sh
ok "and it goes on" zamctl replicate tank/back --wait
assert_eq "from what both have" "$(guids tank/back)" "$(guids $copy/back)"
alike "tank/back" tank/back $copy/back
assert_match "the other branch is there, by another name" "$branch" "$(zfs list -H -p -o guid -t snapshot -r nas/zam/lab | xargs)"
