#!/usr/bin/env bash
# zam-send, zam-recv and zam-ssh by hand, each a shell with plain `zfs`; then root behind the daemons' own filters. All that is held
# is still there after every attempt.
# shellcheck disable=SC2016 # what others run is expanded there
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none
make_pool nas 512M -O mountpoint=none
make_pool usb 256M -O mountpoint=none
zfs create -o mountpoint=/mnt/data tank/data && echo secret >/mnt/data/file
zfs create tank/data/child && zfs create tank/foreign
for name in a b; do zfs snapshot -r tank@$name; done
copies_up <<'TOML'
[[managed-datasets]]
source = "tank/data"
recursive = true
adopt = ["?"]
replication-period = "never"
prune-period = "never"
destinations = [{ remote-host = "olympus" }, { pool = "usb", dataset = "here" }]
[[replicas]]
client = "here"
root = "usb/here"
TOML
as_root grant --print --replica
printf 'return 1\n' >/var/tmp/program.lua
make_user alice
copy=nas/zam/lab/tank/data
ok "a copy is there" zamctl replicate --wait
ok "with both snapshots" exists $copy@b
ok "held" all_held $copy
ok "and the one on this host" exists usb/here/tank/data/child@b
zfs hold zam tank/foreign@b
ok "the source's are held" wait_for 120 held tank/data@b zam
zfs snapshot tank/data@free
zfs send tank/data@a >/var/tmp/stream && zfs send tank/foreign@b >/var/tmp/foreign
chmod 644 /var/tmp/{stream,foreign,program.lua}
note "$(for dataset in tank/data nas/zam/lab; do zfs allow $dataset | grep -E 'zam-|destroy' | xargs; done)"

held_ones() {
    zfs list -H -o name,guid,userrefs,type -t filesystem,volume,snapshot,bookmark -r tank nas usb | awk -F '\t' '$4 != "snapshot" || $3 > 0' |
        grep -v '^nas/zam/lab/received2' # which zamd-recv holds at its next look
}
BEFORE=$(held_ones)
assert_match "there is something to lose" "$copy@b" "$BEFORE"
never() {
    refused "$@"
    [[ $(held_ones) == "$BEFORE" ]] || assert_eq "$1: what is held is still there" "$BEFORE" "$(held_ones)"
}
denied() {
    refused_with 'permission denied|Permission denied' "$@"
    [[ $(held_ones) == "$BEFORE" ]] || assert_eq "$1: what is held is still there" "$BEFORE" "$(held_ones)"
}
# moves ID USER DATASET: what none of these users may, to a dataset that has snapshots @a and @b, held.
moves() {
    local id=$1 user=$2 dataset=$3
    never "$id $user rolls back" as "$user" zfs rollback -r "$dataset@a"
    never "$id renames a snapshot" as "$user" zfs rename "$dataset@b" "$dataset@x"
    never "$id renames a dataset" as "$user" zfs rename "$dataset" "${dataset%/*}/stolen"
    never "$id clones" as "$user" zfs clone "$dataset@b" "${dataset%/*}/clone"
    never "$id mounts" as "$user" zfs mount "$dataset"
    denied "$id sets a property" as "$user" zfs set readonly=off "$dataset"
    denied "$id sets one of its own" as "$user" zfs set zam:x=y "$dataset"
    never "$id inherits one" as "$user" zfs inherit -r mountpoint "$dataset"
    never "$id allows itself more" as "$user" zfs allow "$user" destroy,release,mount "$dataset"
    never "$id takes a grant away" as "$user" zfs unallow zam-snap "$dataset"
    never "$id exports the pool" as "$user" zpool export -f "${dataset%%/*}"
    never "$id destroys it" as "$user" zpool destroy -f "${dataset%%/*}"
    never "$id reads its history" as "$user" zpool history -i "${dataset%%/*}"
    never "$id runs a program in it" as "$user" zfs program "${dataset%%/*}" /var/tmp/program.lua
}
destroys() {
    local id=$1 user=$2 dataset=$3
    never "$id $user destroys a held snapshot" as "$user" zfs destroy "$dataset@b"
    never "$id all of them" as "$user" zfs destroy "$dataset@%"
    never "$id everywhere below" as "$user" zfs destroy -r "$dataset@b"
    never "$id with what depends on it" as "$user" zfs destroy -R "$dataset@b"
    never "$id the dataset" as "$user" zfs destroy -r "$dataset"
    never "$id with -f -R" as "$user" zfs destroy -f -R "$dataset"
}

section "zam-send"
destroys R-SEND-1 zam-send tank/data
never "R-SEND-1 marks one" as zam-send zfs destroy -d tank/data@b
never "R-SEND-1 destroys one that nobody holds" as zam-send zfs destroy tank/data@free
bookmark=$(zfs list -H -o name -t bookmark tank/data | head -n 1)
assert_match "control: the copies left a bookmark" '#zam-' "$bookmark"
never "R-SEND-1 destroys a bookmark" as zam-send zfs destroy "$bookmark"
never "R-SEND-2 takes a snapshot" as zam-send zfs snapshot tank/data@mine
never "R-SEND-2 holds" as zam-send zfs hold mine tank/data@a
never "R-SEND-2 releases" as zam-send zfs release zam tank/data@b
moves R-SEND-3 zam-send tank/data
never "R-SEND-3 promotes, creates" as zam-send zfs create tank/data/new
never "R-SEND-3 receives beside" as zam-send sh -c 'zfs receive -u tank/data/received </var/tmp/stream'
never "R-SEND-3 receives over it" as zam-send sh -c 'zfs receive -u -F tank/data/child </var/tmp/stream'
never "R-SEND-3 receives into the replica" as zam-send sh -c 'zfs receive -u nas/zam/lab/received </var/tmp/stream'
never "R-SEND-4 sends what it was not granted" as zam-send bash -o pipefail -c 'zfs send tank/foreign@b | cat >/dev/null'
never "R-SEND-4 or what is on the replica" as zam-send bash -o pipefail -c "zfs send $copy@b | cat >/dev/null"
never "R-SEND-4 bookmarks what it was not granted" as zam-send zfs bookmark tank/foreign@b 'tank/foreign#x'
ok "control: it sends" as zam-send bash -o pipefail -c 'zfs send tank/data@b | cat >/dev/null'
ok "control: and bookmarks" as zam-send zfs bookmark tank/data@free 'tank/data#mine'
zfs destroy 'tank/data#mine'

section "zam-recv"
destroys R-RECV-1 zam-recv $copy
never "R-RECV-1 marks one" as zam-recv zfs destroy -d $copy@b
never "R-RECV-1 receives over it" as zam-recv sh -c "zfs receive -u -F $copy </var/tmp/foreign"
zfs send -i @a tank/foreign@b >/var/tmp/step && chmod 644 /var/tmp/step
never "R-RECV-1 a step over it, by force" as zam-recv sh -c "zfs receive -u -F $copy </var/tmp/step"
never "R-RECV-2 releases" as zam-recv zfs release zam $copy@b
never "R-RECV-2 everywhere" as zam-recv zfs release -r zam $copy@b
never "R-RECV-3 takes a snapshot" as zam-recv zfs snapshot $copy@mine
moves R-RECV-3 zam-recv $copy
never "R-RECV-4 sends" as zam-recv bash -o pipefail -c "zfs send $copy@b | cat >/dev/null"
never "R-RECV-4 sends it raw" as zam-recv bash -o pipefail -c "zfs send -w $copy@b | cat >/dev/null"
never "R-RECV-4 compares" as zam-recv zfs diff $copy@a
never "R-RECV-4 receives outside of the clients' roots" as zam-recv sh -c 'zfs receive -u tank/received </var/tmp/stream'
ok "control: it receives below a root" as zam-recv sh -c 'zfs receive -u nas/zam/lab/received </var/tmp/stream'
ok "control: and holds" as zam-recv zfs hold zam nas/zam/lab/received@a
assert_eq "R-RECV-6 what arrives is nowhere mounted, not run, not written to" "none off off off on none hidden" \
    "$(zfs get -H -o value mountpoint,setuid,exec,devices,readonly,volmode,snapdev nas/zam/lab/received | xargs)"
ok "R-RECV-6 not even when root mounts all" bash -c '! zfs mount -a 2>&1 | grep nas && ! grep "^nas" /proc/mounts'
as zam-recv sh -c 'zfs receive -u -o setuid=on -o mountpoint=/mnt/evil nas/zam/lab/received2 </var/tmp/stream' || true
assert_eq "R-RECV-6 whatever it says when it receives" "none off" "$(zfs get -H -o value mountpoint,setuid nas/zam/lab/received2 | xargs)"
BEFORE=$(held_ones)
denied "R-RECV-6 or afterwards" as zam-recv zfs set mountpoint=/mnt/evil nas/zam/lab/received2
zfs_at_least 2.3 && never "R-RECV-1 before it is held nothing is rolled back either" as zam-recv sh -c 'zfs receive -u -F nas/zam/lab/received2 </var/tmp/foreign'

section "zam-ssh"
for what in 'zfs destroy COPY@b' 'zfs release zam COPY@b' 'zfs hold mine COPY@a' 'zfs snapshot COPY@mine' 'zfs rollback -r COPY@a' 'zfs rename COPY nas/x'; do
    # shellcheck disable=SC2086 # words
    never "R-RECV-8 zam-ssh: $what" as zam-ssh ${what//COPY/$copy}
done
denied "R-RECV-8 zam-ssh: sets a property" as zam-ssh zfs set readonly=off $copy
never "R-RECV-8 receives" as zam-ssh sh -c 'zfs receive -u nas/zam/lab/stolen </var/tmp/stream'
never "R-RECV-8 sends" as zam-ssh bash -o pipefail -c "zfs send $copy@b | cat >/dev/null"
home=$(getent passwd zam-ssh | cut -d : -f 6)
refused "R-RECV-9 lets a key in" as zam-ssh sh -c 'echo x >>/etc/zam/authorized_keys'
refused "R-RECV-9 by another file in its place" as zam-ssh sh -c 'mv /etc/zam/authorized_keys /etc/zam/x; echo x >/etc/zam/authorized_keys'
refused "R-RECV-9 changes sshd's config" as zam-ssh sh -c 'echo "AuthorizedKeysFile none" >>/etc/ssh/sshd_config.d/zam.conf'
refused "R-RECV-9 has a key in its home" as zam-ssh sh -c "mkdir -p $home/.ssh && echo x >>$home/.ssh/authorized_keys"
refused "R-RECV-9 or a program that its shell reads" as zam-ssh sh -c "echo x >>$home/.profile"
refused "R-RECV-9 stays when it has logged out" as zam-ssh loginctl enable-linger
ok "control: its home is root's" sh -c "[ \$(stat -c %U $home) = root ]"
ssh-keygen -q -t ed25519 -N '' -f /var/tmp/otherkey
refused_with "Permission denied .publickey" "R-RECV-9 another key does not come in" timeout 60 ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i /var/tmp/otherkey zam-ssh@127.0.0.1 </dev/null

install -m 755 "$ZAM_LAB/bin/stranger" /usr/local/bin/
# speaks USER ARG... -- ACTION...: zam-receive, as such a user starts it by hand.
speaks() {
    local user=$1 args=()
    shift
    while [[ $1 != -- ]]; do args+=("$1") && shift; done
    as "$user" timeout 120 stranger hello "${@:2}" -- /usr/bin/zam-receive "${args[@]}"
}
ok "control: zam-ssh speaks for a client of the config" speaks zam-ssh --client lab --root nas/zam/lab -- list
assert_match "control: and sees what it has" 'tank/data' "$LAB_OUTPUT"
refused_with 'no entry' "R-RECV-10 for a client that is none" speaks zam-ssh --client nobody --root nas/zam/lab --
refused_with 'no entry' "R-RECV-10 for another root" speaks zam-ssh --client lab --root nas/zam --
refused_with 'no entry' "R-RECV-10 for a pool" speaks zam-ssh --client lab --root tank --
refused_with 'NotPermitted|not permitted' "R-RECV-10 for this host itself" speaks zam-ssh --local --root usb/here --
before=$(held_ones)
lab_try speaks zam-ssh --client lab --root nas/zam/lab -- clear=tank/data "offer=tank/data@b,guid=$(guid tank/data@b)" stream=/var/tmp/stream end
assert_eq "R-RECV-10 what is there is not cleared, nor overwritten" "$before" "$(held_ones)"
# The words pass zam-receive; what it tells zamd-recv is changed behind it.
mkdir -p /var/tmp/way/recv && chown -R zam-ssh: /var/tmp/way
as zam-ssh stranger proxy /var/tmp/way/recv/peer.sock /run/zam/recv/peer.sock 'tank/AAAAAAAAAAAAAA' 'tank/../../../../x' >/var/tmp/proxy.log 2>&1 &
as zam-ssh stranger proxy /var/tmp/way/recv/stream.sock /run/zam/recv/stream.sock >/dev/null 2>&1 &
ok "it is in between" wait_for 60 test -S /var/tmp/way/recv/peer.sock
for action in clear=tank/AAAAAAAAAAAAAA "offer=tank/AAAAAAAAAAAAAA@x,guid=7"; do
    lab_try as zam-ssh timeout 120 stranger hello "$action" -- /usr/bin/zam-receive --runtime-dir /var/tmp/way --client lab --root nas/zam/lab
    [[ $LAB_OUTPUT != *Go* && $LAB_OUTPUT != *Cleared* ]] && pass "R-RECV-10 no way out by zamd-recv's own door: ${action%%=*}" || fail "R-RECV-10 ${action%%=*}: $LAB_OUTPUT"
    note "$(tail -n 2 <<<"$LAB_OUTPUT" | xargs -d '\n')"
done
assert_eq "control: it was changed on the way, twice" 2 "$(grep -c changed /var/tmp/proxy.log)"
pkill -x stranger
assert_eq "R-RECV-10 nothing has come, gone or changed" "$before" "$(held_ones)"

section "who speaks to zamd-recv"
ok "control: zam-send speaks for this host, to where its config sends" speaks zam-send --local --root usb/here -- list
refused_with 'NotPermitted|not permitted' "R-SEND-7 zam-send: for a client elsewhere" speaks zam-send --client lab --root nas/zam/lab --
refused_with 'no destination' "R-SEND-7 zam-send: for this host, elsewhere" speaks zam-send --local --root nas/zam/lab --
for user in zam-snap zam-prune zam-recv alice nobody; do
    [[ $user == zam-recv ]] || refused "$user does not come in at all" speaks $user --client lab --root nas/zam/lab --
    refused "R-SEND-8 $user does not read zam-send's key" as $user cat /var/lib/zam/send/id_ed25519
done
refused "R-SEND-8 nor does zam-ssh" as zam-ssh cat /var/lib/zam/send/id_ed25519
ok "control: zam-send does" as zam-send grep -q PRIVATE /var/lib/zam/send/id_ed25519
assert_eq "modes of the doors between" $'660 root zam-copy\n660 root zam-copy' "$(stat -c '%a %U %G' /run/zam/recv/peer.sock /run/zam/recv/stream.sock)"
for user in zam-send zam-recv zam-ssh; do
    id=R-SEND-6
    [[ $user == zam-send ]] || id=R-RECV-7
    refused_with 'operators|permitted|denied' "$id $user asks nothing of zamd-snap" as $user zamctl snapshot tank/data
    refused_with 'operators|permitted|denied' "$id $user asks nothing of zamd-prune" as $user zamctl prune --now
    for role in snap prune send recv; do
        [[ $user == "zam-$role" || ! -d /var/lib/zam/$role ]] || refused "$id $user does not see what zamd-$role has written" as $user ls /var/lib/zam/$role
    done
    [[ ! -d /var/lib/zam/${user#zam-} ]] || ok "control: its own it sees" as $user ls "/var/lib/zam/${user#zam-}"
done

section "behind the filter, as root"
declare -A ID=([send]=R-SEND-5 [recv]=R-RECV-5)
behind() { "/usr/bin/zamd-$1" sandboxed -- "${@:2}"; }
no() { refused_with 'ermission denied|not permitted' "${ID[$1]} behind zamd-$1's wall, not: ${*:2}" behind "$@"; }
yes() { ok "behind zamd-$1's wall: ${*:2}" behind "$@"; }
zfs create nas/bare && zfs snapshot nas/bare@free && zfs create tank/bare && zfs snapshot tank/bare@free
for role in send recv; do
    pool=tank
    [[ $role == send ]] || pool=nas
    same "zamd-$role lists as well as anybody" zfs list -H -p -t all -o name,guid,createtxg,userrefs -r $pool -- behind $role zfs list -H -p -t all -o name,guid,createtxg,userrefs -r $pool
    for what in 'zfs destroy POOL/bare@free' 'zfs destroy -r POOL/bare' 'zfs rollback POOL/bare@free' 'zfs rename POOL/bare POOL/x' 'zfs set readonly=on POOL/bare' 'zfs inherit readonly POOL/bare' \
        'zfs allow nobody destroy POOL' 'zfs clone POOL/bare@free POOL/clone' 'zfs snapshot POOL/bare@x' 'zpool destroy POOL' 'zpool export POOL' 'zpool set comment=x POOL'; do
        # shellcheck disable=SC2086 # words
        no $role ${what//POOL/$pool}
    done
    refused "${ID[$role]} behind zamd-$role's wall, not: a channel program" behind $role zfs program $pool /var/tmp/program.lua
    refused_with 'not permitted' "zamd-$role: unshare -Ur" behind $role unshare -Ur true
    refused_with 'not permitted|ermission denied' "zamd-$role: mount" behind $role mount -t tmpfs none /mnt
done
no send zfs hold x tank/bare@free
no send zfs release zam tank/data@b
no send bash -c 'zfs receive -u tank/received </var/tmp/stream'
no recv zfs release zam $copy@b
no recv bash -o pipefail -c "zfs send $copy@b | cat >/dev/null"
no recv zfs bookmark "$copy@b" "$copy#x"
yes send bash -o pipefail -c 'zfs send tank/data@b | cat >/dev/null'
yes send zfs bookmark tank/bare@free 'tank/bare#b'
yes recv zfs hold x nas/bare@free
for command in 'zfs release x nas/bare@free' 'zfs snapshot nas/bare@x' 'zfs set readonly=on nas/bare' 'zfs rollback nas/bare@x' 'zfs clone nas/bare@x nas/clone' 'zfs rename nas/bare nas/bare2' 'zfs rename nas/bare2 nas/bare' \
    'zfs allow nobody destroy nas' 'zfs program nas /var/tmp/program.lua' 'zfs destroy -R nas/bare' 'unshare -Ur true'; do
    # shellcheck disable=SC2086 # words
    ok "control: without it: $command" $command
done
# Who lists it has it open for a moment.
ok "control: without it: zpool export nas" wait_for 60 zpool export nas
zpool import -d "$LAB_POOLS" nas
