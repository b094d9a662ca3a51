#!/usr/bin/env bash
# Two machines, set up only from what zamctl prints on them: a live tree is copied over the cable between them. The cable is pulled, the
# power of either machine goes, their clocks are wrong; nothing is lost, and it goes on.
# timeout: 2400
# shellcheck disable=SC2016 # what runs in the guests is expanded there
source "$ZAM_LAB/guest.sh"
source "$ZAM_LAB/lib.sh"

# here CMD: on the source; over CMD: on the replica.
here() { guest_ssh ". /root/lab/lib.sh; trap - EXIT ERR; set +e; copy=nas/zam/lab/tank/data; $1"; }
over() { guest_peer here "$1"; }
# What CMD prints here, run there; written there.
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
zfs snapshot tank/data@s1
install_zam
cat >/etc/zam/zam.toml <<TOML
[[managed-datasets]]
source = "tank/data"
adopt = ["s[0-9]*"]
replication-period = "never"
destinations = [{ remote-host = "olympus", bandwidth = "1M" }]
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
# The last block is the live tree's; its admin wants to see at once what thins.
ok "how it thins there" over 'printf "%s\n" "prune-period = \"5s\"" "grace = \"2s\"" "silence = 0" >>/etc/zam/zam.toml && zamctl check'
ok "its datasets and grants" over 'as_root grant --print --replica'
ok "the source's" here 'as_root grant --print'
ok "the replica's daemons" over 'systemctl enable --now zamd-snap zamd-prune zamd-recv && sync'
ok "the source's" here 'systemctl enable --now zamd-snap zamd-prune zamd-send && sync'

same_on_both() { # DESC DATASET
    local tag
    tag=$(over "snaps nas/zam/lab/$2 | tail -n 1")
    assert_match "$1: it has a name" '.' "$tag"
    assert_eq "$1: the same identity and content" "$(here "guid $2@$tag; content $2@$tag")" "$(over "guid nas/zam/lab/$2@$tag; content nas/zam/lab/$2@$tag")"
}
alive() {
    ok "a live tree goes on: $1" here 'n=$(copy tank/data/live .newest)
more() { local now; now=$(copy tank/data/live .newest); [ "$now" != "$n" ] && [ "$now" != null ]; }
date >/mnt/data/live/now; wait_for 600 more'
}
told() { note "$(here 'zamctl status' | sed '1!s/^/   | /')"; }
ok "the first" here 'zamctl replicate tank/data --wait'
same_on_both "@s1" tank/data
alive "at first"

# big N: a snapshot of 20 MiB goes out, at 2 MiB a second, and is on its way. What has come so far is on the replica's disk.
big() {
    ok "@s$1 is on its way" here "head -c 20M /dev/urandom >/mnt/data/big && zfs snapshot tank/data@s$1 && zamctl replicate tank/data
under_way() { (( \$(copy tank/data '.running.bytes // 0') > 2000000 )); }; wait_for 300 under_way"
    over 'zpool sync nas'
    ok "not there yet" over "gone \$copy@s$1"
}
token() { over 'zfs get -H -o value receive_resume_token $copy'; }
partly() { [[ $(token) == 1-* ]]; }
# It goes on where it was: nothing but a resumption is received where something half is, and that was never cleared.
arrives() {
    ok "@s$1 arrives" here "wait_for 900 zamctl replicate tank/data --wait"
    ok "@s$1 is there" over "held \$copy@s$1 zam"
    same_on_both "@s$1" tank/data
    assert_eq "it was not begun anew" "" "$(over "audit zamd-recv | grep '^clear .* nas/zam/lab/tank/data |'")"
}

section "the cable is pulled"
big 2
ok "pulled" guest_peer guest_unplug
ok "nothing comes through" here 'wait_for 60 not timeout 1 bash -c "exec 3<>/dev/tcp/10.77.0.2/22"'
ok "and put in again" guest_peer guest_plug
ok "the same session goes on, to its end" here 'end() { [ "$(copy tank/data .newest)" = s2 ]; }; wait_for 300 end'
assert_eq "none was cut" "" "$(over "audit zamd-recv | grep '^receive . failed'")"
same_on_both "@s2" tank/data
big 3
ok "pulled" guest_peer guest_unplug
# After some minutes of silence each side's ssh would do the same.
ok "the source gives its sessions up" here 'ss -K dst 10.77.0.2 >/dev/null; wait_for 60 bash -c "! pgrep -u zam-send -x ssh || zamctl status tank/data | grep waits"'
ok "the replica too" over 'ss -K dst 10.77.0.1 >/dev/null; wait_for 60 not pgrep -u zam-ssh'
ok "a part is there" wait_for 60 partly
ok "the status says that it does not get there" here 'wait_for 120 copy_is tank/data/live "connect to host|timed out|No route"'
told
ok "and put in again" guest_peer guest_plug
arrives 3
alive "after that"

section "the power of the replica goes"
big 4
ok "it is killed" guest_peer guest_kill
ok "it boots" guest_peer guest_boot
assert_eq "the pool is whole" ONLINE "$(over 'zpool list -H -o health nas')"
ok "a part is there" partly
ok "its daemons run" over 'for role in snap prune recv; do wait_for 300 systemctl is-active zamd-$role || exit 1; done'
told
ok "the cable is in" guest_peer guest_link
arrives 4
alive "after that"

section "the power of the source goes"
big 5
ok "it is killed" guest_kill
ok "it boots" guest_boot
ok "the cable is in" guest_link
ok "its daemons run" here 'for role in snap prune send; do wait_for 300 systemctl is-active zamd-$role || exit 1; done'
arrives 5
alive "after that"

section "clocks that are wrong"
deaths() { over 'zpool history -i nas | grep -c " destroy .*@" || true'; }
more_deaths() { (($(deaths) > n)); }
n=0
ok "control: something dies on the replica" wait_for 300 more_deaths
ok "the replica's is a day behind" over 'date -s "-1 day"'
# What was begun before is over with that.
over 'goes_round zamd-prune nas 2; zamctl prune --now' || true
n=$(deaths)
ok "a snapshot goes there all the same" here 'echo behind >/mnt/data/clock && zfs snapshot tank/data@s6 && zamctl replicate tank/data --wait'
ok "held" over 'held $copy@s6 zam'
alive "there too"
note "$(over 'zamctl prune --now; zamctl status' 2>&1 | sed '1!s/^/   | /')"
assert_eq "and nothing dies there" "$n" "$(deaths)"
ok "it is right again" guest_peer lab_set_clock
ok "control: then something does" wait_for 300 more_deaths
ok "the source's is two days ahead" here 'date -s "+2 days" >/dev/null && echo ahead >/mnt/data/clock && zfs snapshot tank/data@s7 && zamctl replicate tank/data --wait'
ok "what it took then is put aside on the replica" over 'held $copy@s7 zam-quarantine'
ok "it is right again" lab_set_clock
ok "and the next one goes on from there" here 'echo right >/mnt/data/clock && zfs snapshot tank/data@s8 && zamctl replicate tank/data --wait'
same_on_both "@s8" tank/data
assert_eq "nothing was lost on the replica" "s1 s2 s3 s4 s5 s6 s7 s8" "$(over 'snaps $copy' | xargs)"
ok "a scrub of the replica finds nothing wrong" over 'zpool scrub -w nas && zpool status -x nas | grep -q healthy'
told
