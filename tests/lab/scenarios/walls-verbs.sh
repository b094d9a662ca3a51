#!/usr/bin/env bash
# The wall of verbs alone: as root, who has every grant, behind each installed daemon's own sandbox function.
source "${ZAM_LAB:-/root/lab}/lib.sh"

install_zam >/dev/null
behind() {
    local role=$1
    shift
    "/usr/bin/zamd-$role" sandboxed -- "$@"
}
declare -A ID=([snap]=R-SNAP-7 [prune]=R-PRUNE-9)
no() { refused_with 'ermission denied|not permitted' "${ID[$1]} behind zamd-$1's wall, not: ${*:2}" behind "$@"; }
yes() { ok "behind zamd-$1's wall: ${*:2}" behind "$@"; }
root() { ok "control: without it: $*" "$@"; }

make_pool walls 256M -O mountpoint=none
printf 'return 1' >/root/program.lua
zfs create walls/leaf
zfs create -p walls/tree/child
zfs snapshot -r walls@a
zfs snapshot -r walls@b
# without snapshots: nothing but the verb stands between root and their end
zfs create walls/bare
zfs create -s -V 16M walls/barevol
zfs create walls/held
zfs snapshot walls/held@a
zfs hold zam walls/held@a
zfs bookmark walls/leaf@a 'walls/leaf#a'
zfs allow -d nobody destroy,mount walls/leaf
zfs clone walls/held@a walls/kid
zfs send walls/leaf@a >/root/stream
zpool sync walls
before=$(zfs list -H -o name,guid -t filesystem,volume -r walls)

for role in snap prune; do
    section "zamd-$role lists as well as anybody"
    changed=$(zfs_at_least 2.2 && echo ,snapshots_changed) || true
    for command in \
        'zfs list -H -p -t all -o name,guid,createtxg,creation,userrefs,defer_destroy,clones -r walls' \
        "zfs list -H -p -o name,guid,type,usedbysnapshots$changed -r walls" \
        'zpool list -H -p -o name,health,capacity' 'zfs allow walls/leaf' 'zfs holds -H walls/held@a'; do
        # shellcheck disable=SC2086 # words
        same "zamd-$role: $command" $command -- behind "$role" $command
    done

    section "zamd-$role, root though it is"
    no "$role" zfs destroy walls/bare
    no "$role" zfs destroy -f walls/bare
    no "$role" zfs destroy -r walls/bare
    no "$role" zfs destroy -R walls/bare
    no "$role" zfs destroy walls/barevol
    no "$role" zfs rollback walls/leaf@b
    no "$role" zfs rename walls/leaf walls/stolen
    no "$role" zfs rename walls/leaf@a walls/leaf@stolen
    no "$role" zfs set readonly=on walls/leaf
    no "$role" zfs set zam:x=y walls/leaf@a
    no "$role" zfs inherit mountpoint walls/leaf
    no "$role" zfs allow nobody destroy walls
    no "$role" zfs unallow -d nobody walls/leaf
    no "$role" zfs create walls/new
    no "$role" zfs clone walls/leaf@a walls/clone
    no "$role" zfs promote walls/kid
    no "$role" zfs bookmark walls/leaf@b 'walls/leaf#b'
    no "$role" bash -o pipefail -c 'zfs send walls/leaf@a | cat >/dev/null'
    no "$role" bash -c 'zfs receive -u walls/received </root/stream'
    no "$role" zpool destroy walls
    no "$role" zpool export walls
    no "$role" zpool scrub walls
    no "$role" zpool set comment=x walls
    refused "${ID[$role]} behind zamd-$role's wall, not: a channel program" behind "$role" zfs program walls /root/program.lua
    refused_with 'not permitted' "R-UNIT-4 zamd-$role: unshare -Ur" behind "$role" unshare -Ur true
    refused_with 'not permitted|ermission denied' "R-UNIT-4 zamd-$role: unshare -m" behind "$role" unshare -m true
    refused_with 'not permitted|ermission denied' "R-UNIT-4 zamd-$role: mount" behind "$role" mount -t tmpfs none /mnt
    assert_eq "${ID[$role]} every filesystem and volume is there" "$before" "$(zfs list -H -o name,guid -t filesystem,volume -r walls)"
    assert_eq "every snapshot is there" "a b" "$(snaps walls/leaf | xargs)"
done

section "one key each"
yes snap zfs snapshot walls/leaf@c walls/tree@c
yes snap zfs hold zam walls/leaf@c
ok "it is held" held walls/leaf@c zam
no prune zfs release zam walls/leaf@c
no prune zfs hold zam walls/leaf@b
no prune zfs snapshot walls/leaf@d
refused_with 'busy|held' "R-PRUNE-1 a held one, as root, behind zamd-prune's wall" behind prune zfs destroy walls/leaf@c
yes snap zfs release zam walls/leaf@c
no snap zfs destroy walls/leaf@c
no snap zfs destroy -d walls/leaf@c
no snap zfs destroy -r walls/leaf@c
no snap zfs destroy 'walls/leaf#a'
no snap zfs destroy -r walls/leaf
no snap zfs rollback -r walls/leaf@a
assert_eq "every snapshot is there" "a b c" "$(snaps walls/leaf | xargs)"
yes prune zfs destroy walls/leaf@c
yes prune zfs destroy 'walls/leaf#a'
yes prune zfs destroy walls/tree@a,b
no prune zfs destroy -r walls/leaf
assert_eq "with -r the snapshots that nobody held went, the filesystem did not" "" "$(snaps walls/leaf)"
assert_eq "R-PRUNE-9 every filesystem and volume is there" "$before" "$(zfs list -H -o name,guid -t filesystem,volume -r walls)"
refused "R-PRUNE-9 nor one with a held snapshot" behind prune zfs destroy -r walls/held
assert_eq "the held one is there" "a" "$(snaps walls/held)"

section "controls"
zfs snapshot walls/leaf@x
root unshare -Ur true
root unshare -m true
root mount -t tmpfs none /mnt
umount /mnt
root zfs set readonly=off walls/leaf
root zfs set zam:x=y walls/leaf@x
root zfs inherit readonly walls/leaf
root zfs allow nobody send walls
root zfs unallow -d nobody walls/leaf
root zfs create walls/new
root zfs rename walls/leaf walls/leaf2
root zfs rename walls/leaf2@x walls/leaf2@y
root zfs rollback walls/leaf2@y
root zfs clone walls/leaf2@y walls/clone
root zfs promote walls/clone
root zfs bookmark walls/clone@y 'walls/clone#b'
root bash -o pipefail -c 'zfs send walls/clone@y | cat >/dev/null'
root zfs destroy walls/barevol
root zfs destroy walls/bare
root zfs program walls /root/program.lua
root bash -c 'zfs receive -u walls/received </root/stream'
root zpool set comment=x walls
root zpool scrub -w walls
root zfs destroy -r walls/tree
root zpool export walls
root zpool import -d "$LAB_POOLS" walls
root zpool destroy walls
