#!/usr/bin/env bash
# Copies over the real sshd, set up from what zamctl prints: complete, step by step, from a bookmark after the source has thinned, a
# volume; what zamctl says of them; and the way back.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=/mnt/tank
make_pool nas 512M -O mountpoint=none
zfs create -o mountpoint=/mnt/data tank/data
zfs create tank/data/sub
zfs create -s -V 16M tank/data/vol
wait_for 60 test -b /dev/zvol/tank/data/vol
dd if=/dev/urandom of=/mnt/data/big bs=1M count=8 status=none
echo one >/mnt/data/sub/small
dd if=/dev/urandom of=/dev/zvol/tank/data/vol bs=1M count=4 status=none
zfs snapshot -r tank/data@s1
copies_up <<'TOML'
[[managed-datasets]]
source = "tank/data"
recursive = true
adopt = ["s[0-9]*"]
replication-period = "never"
prune-period = "10s"
destinations = [{ remote-host = "olympus" }]
TOML
copy=nas/zam/lab/tank/data
for role in snap prune send recv; do ok "zamd-$role runs" wait_for 180 systemctl is-active zamd-$role; done
ok "what was printed is all that is needed" zamctl grant --check
lab_try zamctl grant --check --replica
assert_match "and which guarantee holds" "$(zfs_at_least 2.3 && echo append-only by the kernel || echo append-only by holds)" "$LAB_OUTPUT"

section "complete"
awaited() { [[ $(zamctl plan) == *'olympus:tank/data: for `zamctl replicate`'* ]]; }
ok "the plan says that it waits for a word" wait_for 120 awaited
ok "control: nothing is there yet" gone $copy
ok "all are sent" zamctl replicate --wait
note "${LAB_OUTPUT//$'\n'/$'\n'   | }"
for below in '' /sub /vol; do alike "tank/data$below" tank/data$below $copy$below; done
ok "the status has nothing against it" wait_for 180 copy_is tank/data '"state":"idle"'
assert_eq "no lag" 0 "$(copy tank/data .lag_snapshots)"
note "$(zamctl status | sed '1!s/^/   | /')"
assert_eq "nothing of it is mounted" "" "$(grep '^nas' /proc/mounts || true)"
lab_try zamctl plan
assert_eq "the plan is empty" "" "$(grep -E '@s1' <<<"$LAB_OUTPUT" || true)"
assert_match "sent, received and held stand in the trail" 'send . done . tank/data@s1.*receive . done . nas/zam/lab/tank/data@s1.*hold . done . nas/zam/lab/tank/data@s1' \
    "$(audit zamd-send zamd-recv | sort -r | tr '\n' ' ')"

section "a step"
dd if=/dev/urandom of=/mnt/data/more bs=1M count=2 status=none
echo two >/mnt/data/sub/small
dd if=/dev/urandom of=/dev/zvol/tank/data/vol bs=1M count=1 seek=2 conv=notrunc status=none
zfs snapshot -r tank/data@s2
ok "it is sent" zamctl replicate --wait
for below in '' /sub /vol; do
    alike "tank/data$below" tank/data$below $copy$below
    assert_eq "both are there" "$(guids tank/data$below)" "$(guids $copy$below)"
done
lab_try zamctl explain tank/data@s2
note "$(sed '1!s/^/   | /' <<<"$LAB_OUTPUT")"
ok "once more there is nothing to send" zamctl replicate --wait
assert_match "and it says so" 'nothing' "$LAB_OUTPUT"

section "from a bookmark"
assert_match "bookmarks were left" '#zam-' "$(zfs list -H -o name -t bookmark tank/data | xargs)"
destroy tank/data@s2 tank/data@s1 tank/data/vol@s2 tank/data/vol@s1
identity=$(guid $copy)
echo three >/mnt/data/three
dd if=/dev/urandom of=/dev/zvol/tank/data/vol bs=1M count=1 seek=3 conv=notrunc status=none
zfs snapshot -r tank/data@s3
# It looks at the pool anew.
systemctl reload zamd-send
ok "the plan builds on it" wait_for 120 bash -c "zamctl plan | grep -E '#zam-[0-9a-f]+-'"
note "$(zamctl plan | sed '1!s/^/   | /')"
ok "it is sent" zamctl replicate --wait
for below in '' /sub /vol; do alike "tank/data$below" tank/data$below $copy$below; done
assert_eq "what the source has no more is there still, before it" 3 "$(snaps $copy | wc -l)"
assert_eq "it is the same dataset as before" "$identity" "$(guid $copy)"

section "the way back"
useradd --create-home --shell /bin/bash alice
install -d -m 700 -o alice -g alice /home/alice/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
install -m 600 -o alice -g alice /root/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys
printf 'Host olympus\n HostName 127.0.0.1\n StrictHostKeyChecking accept-new\n' >/root/.ssh/config
ok "zamctl prints it" zamctl restore --print tank/data@s2 --from olympus "${LAB_THERE[@]}" --to tank/back --login alice
zamctl restore --print tank/data@s2 --from olympus "${LAB_THERE[@]}" --to tank/back --login alice >/var/tmp/restore.sh
# What the other admin types stands there as comments, first what comes before, then what comes after.
sed -n '/^# 1\./,/^# 2\./s/^#    //p' /var/tmp/restore.sh >/var/tmp/before.sh
sed -n '/^# 4\./,$s/^#    //p' /var/tmp/restore.sh >/var/tmp/after.sh
refused "control: before the replica's admin has typed it nobody there reads it" as alice bash -o pipefail -c "zfs send $copy@s2 | cat >/dev/null"
ok "the replica's admin" sh -e /var/tmp/before.sh
ok "the source's" sh -e /var/tmp/restore.sh
ok "the replica's, afterwards" sh -e /var/tmp/after.sh
assert_eq "it is back, by its identity" "$(guid $copy@s2)" "$(guid tank/back@s2)"
assert_eq "with its content" "$(content $copy@s2)" "$(content tank/back@s2)"
refused "nobody reads the replica any more" as alice bash -o pipefail -c "zfs send $copy@s2 | cat >/dev/null"
ok "the copy is held" held $copy@s2 zam
