#!/usr/bin/env bash
# Two machines, set up only from what zamctl prints on them: a live tree is copied over the cable between them. The cable is cut, the
# power of either machine goes, their clocks are wrong; nothing is lost, and it goes on.
# timeout: 3600
# shellcheck disable=SC2016 # what runs in the guests is expanded there
source "$ZAM_LAB/guest.sh"
source "$ZAM_LAB/lib.sh"

# here CMD: on the source; over CMD: on the replica.
here() { guest_ssh ". /root/lab/lib.sh; trap - EXIT ERR; set +e; copy=nas/zam/lab/tank/data; $1"; }
over() { guest_peer here "$1"; }
# across CMD: what CMD prints here, run there.
print_over() { here "$1" | guest_peer guest_ssh 'sh -e'; }
write_over() { here "$1" | guest_peer guest_ssh "cat >$2"; }

section "two machines"
ok "the second one wakes" guest_peer guest_up "$ZAM_LAB_SUITE"
# They were woken from one state.
ok "it has host keys of its own" guest_peer guest_ssh 'rm -f /etc/ssh/ssh_host_* && ssh-keygen -A >/dev/null && systemctl restart ssh && mkdir -p /root/lab'
bring() { guest_peer guest_push "$ZAM_LAB/lib.sh" /root/lab/ && guest_peer guest_push "$ZAM_LAB_DEB" /root/lab/zam.deb; }
ok "it has what the first has" bring
cable() { guest_link && guest_peer guest_link; }
ok "the cable is in" cable
ok "they see each other" here 'wait_for 60 bash -c "exec 3<>/dev/tcp/10.77.0.2/22"'
ok "the source" here 'set -e
make_pool tank 512M -O mountpoint=none -O compression=off
zfs create -o mountpoint=/mnt/data tank/data; zfs create tank/data/live
for n in 1 2; do head -c 1000000 /dev/urandom >/mnt/data/file$n; done
install_zam
cat >/etc/zam/zam.toml <<TOML
[[managed-datasets]]
source = "tank/data"
adopt = ["s[0-9]*"]
replication-period = "never"
destinations = [{ remote-host = "olympus", bandwidth = "2M" }]
[[managed-datasets]]
source = "tank/data/live"
snapshot-period = "5s"
prune-period = "10s"
replication-period = "5s"
grace = "5s"
windows = [{ max-age = "1m", period = "5s" }, { max-age = "1h", period = "1m" }]
destinations = [{ remote-host = "olympus" }]
TOML
sync'
ok "the replica" over 'make_pool nas 512M -O mountpoint=none && install_zam && sync'
# What either admin types, carried over by hand.
there='--client lab --root nas/zam/lab'
ok "the source's key, and whom it believes" here "as_root ssh --print olympus $there --address 10.77.0.2"
ok "the key is let in there" print_over "zamctl ssh --print olympus --on replica $there"
ok "what may arrive there" write_over "zamctl replica-config --print olympus $there" /etc/zam/zam.toml
ok "its datasets and grants" over 'as_root grant --print --replica'
ok "the source's" here 'as_root grant --print'
ok "the replica's daemons" over 'systemctl enable --now zamd-snap zamd-prune zamd-recv && sync'
ok "the source's" here 'systemctl enable --now zamd-snap zamd-prune zamd-send && sync'

same_on_both() { # DESC DATASET
    local tag
    tag=$(over "snaps nas/zam/lab/$2 | tail -n 1")
    assert_match "$1: it has a name" '.' "$tag"
    assert_eq "$1: by its identity and content" "$(here "guid $2@$tag; content $2@$tag")" "$(over "guid nas/zam/lab/$2@$tag; content nas/zam/lab/$2@$tag")"
}
alive() { ok "a live tree goes on: $1" here 'n=$(copy tank/data/live .newest); more() { [ "$(copy tank/data/live .newest)" != "$n" ] && [ "$(copy tank/data/live .newest)" != null ]; }; date >/mnt/data/live/now; wait_for 600 more'; }
alive "at first"
ok "the first" here 'zfs snapshot tank/data@s1 && zamctl replicate tank/data --wait'
same_on_both "tank/data" tank/data

# big N: a snapshot of 16 MiB goes out, at 2 MiB a second, and is on its way.
big() {
    ok "@s$1 is on its way" here "head -c 16M /dev/urandom >/mnt/data/big && zfs snapshot tank/data@s$1 && zamctl replicate tank/data && under_way() { (( \$(copy tank/data '.running.bytes // 0') > ${2:-3000000} )); }; wait_for 300 under_way"
}
arrives() {
    ok "@s$1 arrives" here "end() { [ \"\$(copy tank/data .newest)\" = s$1 ] || { zamctl replicate tank/data; sleep 2; false; }; }; wait_for 900 end"
    same_on_both "@s$1" tank/data
    assert_eq "it was not sent from the start" yes "$(over "[ \$(journalctl -t zamd-recv -o cat --no-pager | grep -c 'tank/data@s$1: failed') -ge 1 ] && echo yes")"
}

section "the cable is cut"
big 2
ok "it is pulled" guest_peer guest_ssh 'ip link set eth1 down'
sleep 20
ok "and put in again" guest_peer guest_link
ok "the sessions of before are given up" over 'pkill -u zam-ssh -x sshd-session || pkill -u zam-ssh -x sshd || true'
ok "on the source too" here 'pkill -u zam-send -x ssh || true'
arrives 2
alive "after that"

section "the power of the replica goes"
big 3 6000000
ok "it is killed" guest_peer guest_kill
sleep 5
note "$(here 'zamctl status' | sed '1!s/^/   | /')"
ok "it boots" guest_peer guest_boot
ok "the cable is in" guest_peer guest_link
assert_eq "the pool is whole" ONLINE "$(over 'zpool list -H -o health nas')"
ok "its daemons run" over 'for role in snap prune recv; do wait_for 300 systemctl is-active zamd-$role || exit 1; done'
arrives 3
alive "after that"

section "the power of the source goes"
big 4 9000000
ok "it is killed" guest_kill
ok "it boots" guest_boot
ok "the cable is in" guest_link
ok "its daemons run" here 'for role in snap prune send; do wait_for 300 systemctl is-active zamd-$role || exit 1; done'
arrives 4
alive "after that"

section "clocks that are wrong"
ok "the replica's is a day behind" over 'date -s "-1 day"'
ok "a snapshot goes there all the same" here 'echo behind >/mnt/data/clock && zfs snapshot tank/data@s5 && zamctl replicate tank/data --wait'
ok "held" over 'held $copy@s5 zam'
note "$(over 'zamctl status' | sed '1!s/^/   | /')"
ok "and nothing dies there" over 'n=$(zpool history -i nas | grep -c " destroy .*@"); sleep 20; [ "$(zpool history -i nas | grep -c " destroy .*@")" = "$n" ]'
ok "it is right again" guest_peer lab_set_clock
ok "the source's is two days ahead" here 'date -s "+2 days" >/dev/null && echo ahead >/mnt/data/clock && zfs snapshot tank/data@s6 && zamctl replicate tank/data --wait'
ok "what it took then is put aside on the replica" over 'held $copy@s6 zam-quarantine'
ok "it is right again" lab_set_clock
ok "and the next one goes on from there" here 'echo right >/mnt/data/clock && zfs snapshot tank/data@s7 && zamctl replicate tank/data --wait'
same_on_both "@s7" tank/data
assert_eq "nothing was lost on the replica" "s1 s2 s3 s4 s5 s6 s7" "$(over 'snaps $copy' | xargs)"
ok "a scrub of the replica finds nothing wrong" over 'zpool scrub -w nas && zpool status -x nas | grep -q healthy'
