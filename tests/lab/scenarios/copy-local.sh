#!/usr/bin/env bash
# Copies on this host: the disk in the drawer, whose import starts the job, and which can be exported when that is done; and a replica
# of a replica.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none
make_pool usb 256M -O mountpoint=none
make_pool nas 256M -O mountpoint=none
zfs create -o mountpoint=/mnt/data tank/data
echo one >/mnt/data/file && zfs snapshot tank/data@s1
install_zam >/dev/null
cat >/etc/zam/zam.toml <<'TOML'
[[managed-datasets]]
source = "tank/data"
adopt = ["s[0-9]*"]
replication-period = "10s"
destinations = [{ pool = "usb", dataset = "copies", absent = "expected" }]
[[managed-datasets]]
source = "usb/copies"
recursive = true
adopt = ["s[0-9]*"]
replication-period = "10s"
absent = "expected"
destinations = [{ pool = "nas", dataset = "second" }]
TOML
# Both stanzas as printed: for this machine's own pools.
zamctl replica-config --print usb --client here >/etc/zam/zam.d/usb.toml
sed -i '/^root/a absent = "expected"' /etc/zam/zam.d/usb.toml
zamctl replica-config --print nas --client here-too >/etc/zam/zam.d/nas.toml
as_root grant --print --replica
as_root grant --print
systemctl enable --now zamd-snap zamd-prune zamd-recv zamd-send
note "$(zamctl check 2>&1 | tail -n 5 | xargs -d '\n')"

section "a pool of this host"
ok "it comes by itself" wait_for 180 exists usb/copies/tank/data@s1
ok "held" wait_for 60 all_held usb/copies/tank/data
alike "tank/data" tank/data usb/copies/tank/data
ok "and from there goes on to the next" wait_for 180 exists nas/second/usb/copies/tank/data@s1
ok "held" wait_for 60 all_held nas/second/usb/copies/tank/data
alike "the copy of the copy" usb/copies/tank/data nas/second/usb/copies/tank/data
assert_eq "without ssh" "" "$(journalctl -b -t sshd -t sshd-session -o cat --no-pager | grep 'for zam-ssh' || true)"

section "in the drawer"
echo two >/mnt/data/file && zfs snapshot tank/data@s2
ok "all is brought there, and thinned" zamctl replicate --to usb --wait --prune
ok "it is there" exists usb/copies/tank/data@s2
# But what may just go on from it to the next.
ok "then nothing keeps the pool" wait_for 60 zpool export usb
echo three >/mnt/data/file && zfs snapshot tank/data@s3
sleep 15
away() { [[ $(copy tank/data '.state') == waiting ]]; }
ok "its copy waits" wait_for 120 away
note "$(zamctl status tank/data | sed '1!s/^/   | /')"
# A run that was just under way then has failed, and the next one knows better.
ok "which is no alarm" wait_for 60 zamctl status tank/data
lab_try zamctl replicate --to usb --wait
note "asked for it: exit $LAB_STATUS, ${LAB_OUTPUT//$'\n'/; }"
ok "control: an import" zpool import -d "$LAB_POOLS" usb
ok "starts the job" wait_for 300 exists usb/copies/tank/data@s3
ok "held" wait_for 60 all_held usb/copies/tank/data
alike "tank/data" tank/data usb/copies/tank/data
ok "and the next one's" wait_for 300 exists nas/second/usb/copies/tank/data@s3
ok "once more all is done" zamctl replicate --to usb --wait --prune
ok "and it can be exported" wait_for 60 zpool export usb
ok "all daemons run as before" bash -c 'for role in snap prune recv send; do [ "$(systemctl show -p NRestarts --value zamd-$role)" = 0 ] && systemctl is-active -q zamd-$role || exit 1; done'
