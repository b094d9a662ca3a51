#!/usr/bin/env bash
# What zam builds on when the power goes: a snapshot and a hold whose command has returned are on the disk; a machine
# that was cut off in the middle of work boots, imports its pool by itself and finds it whole.
# shellcheck disable=SC2016 # what runs in the guest is expanded there
source "$ZAM_LAB/guest.sh"
source "$ZAM_LAB/lib.sh"

section "work that is cut off"
ok "a pool, a tree" guest_ssh '. /root/lab/lib.sh; trap - EXIT ERR
    make_pool cut 512M -O mountpoint=none
    for i in $(seq 20); do zfs create cut/d$i; done
    zfs allow -d nobody destroy,mount cut
    sync'
boot_id=$(guest_ssh cat /proc/sys/kernel/random/boot_id)
# each line says what has returned; the last one may be lost with the connection, never one too many
guest_ssh 'i=0; while :; do
    i=$((i+1))
    zfs snapshot -r cut@s$i && echo "snapshot $i"
    zfs list -H -o name -t snapshot | grep "@s$i\$" | xargs zfs hold zam && echo "hold $i"
done' >"$ZAM_LAB_TMP/done" 2>/dev/null &
ok "snapshots and holds are being made" wait_for 300 grep -q 'hold 2' "$ZAM_LAB_TMP/done"
sleep 1
ok "power cut" guest_kill
wait
note "done before the cut: $(tr '\n' ',' <"$ZAM_LAB_TMP/done")"
ok "nobody is at home" not guest_ssh true

section "the machine boots"
ok "for real, with systemd" guest_boot
assert_eq "not the same boot" different "$([[ $(guest_ssh cat /proc/sys/kernel/random/boot_id) == "$boot_id" ]] || echo different)"
assert_eq "the pool was imported at boot, and is whole" ONLINE "$(guest_ssh zpool list -H -o health cut)"
ok "its grants are there" guest_ssh 'zfs allow cut | grep -q "user nobody destroy,mount"'
snapshots=$(grep -c snapshot "$ZAM_LAB_TMP/done") holds=$(grep -c hold "$ZAM_LAB_TMP/done")
listing=$(guest_ssh zfs list -H -o name,userrefs,createtxg -t snapshot -r cut)
for i in $(seq "$snapshots"); do
    assert_eq "snapshot $i returned: it is there on all datasets" 21 "$(grep -c "@s${i}[[:space:]]" <<<"$listing")"
    assert_eq "in one transaction" 1 "$(grep "@s${i}[[:space:]]" <<<"$listing" | cut -f 3 | sort -u | wc -l)"
done
for i in $(seq "$holds"); do
    assert_eq "hold $i returned: it is there on all datasets" 21 \
        "$(grep "@s${i}[[:space:]]" <<<"$listing" | awk '$2 == 1' | wc -l)"
done
for i in $(seq $((snapshots + 1)) $((snapshots + 2))); do
    assert_match "snapshot $i was not told of: it is there for all or for none" '^(0|21)$' \
        "$(grep -c "@s${i}[[:space:]]" <<<"$listing")"
done
ok "a scrub finds nothing wrong" guest_ssh 'zpool scrub -w cut; zpool status -x cut | grep -q healthy'
ok "the clock counts as synchronised" guest_ssh test -e /run/systemd/timesync/synchronized
ok "the clock is the host's" guest_ssh "d=\$(( \$(date +%s) - $(date +%s) )); (( d > -20 && d < 20 ))"

section "and again, from the saved state"
ok "reset" guest_reset ready
refused "the pool was never made" guest_ssh zpool list cut
