#!/usr/bin/env bash
# The facts about ZFS that zam stands on, with plain `zfs` and without zam: what a grant reaches, what a hold stops.
# Each refusal has its positive control: the same command, where the wall is not there.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_user fact-prune
make_user fact-snap
make_user fact-hold
make_user fact-none
make_pool facts 512M -O mountpoint=none
note "OpenZFS $(cat /sys/module/zfs/version)"

section "anybody may list"
ok "root makes a leaf and a snapshot" zfs create facts/leaf
for name in a b c; do zfs snapshot "facts/leaf@$name"; done
same "a user without any grant lists the same as root" \
    zfs list -H -t all -o name,guid,createtxg -r facts -- as fact-none zfs list -H -t all -o name,guid,createtxg -r facts
zfs hold zam facts/leaf@c
ok "and reads the holds" as fact-none zfs holds -H facts/leaf@c
assert_match "which it sees" 'facts/leaf@c.*zam' "$LAB_OUTPUT"
zfs release zam facts/leaf@c
refused_with 'permission denied' "it may not take a snapshot" as fact-none zfs snapshot facts/leaf@none
refused_with 'permission denied' "it may not destroy one" as fact-none zfs destroy facts/leaf@a

section "one call, one transaction"
zfs create facts/tree && zfs create facts/tree/x && zfs create -s -V 16M facts/tree/vol
zfs allow -l fact-snap snapshot,hold,release facts/tree
zfs allow -d fact-snap snapshot,hold,release facts/tree
ok "three datasets in one command" as fact-snap zfs snapshot facts/tree@t facts/tree/x@t facts/tree/vol@t
assert_eq "have one createtxg" 1 "$(zfs list -H -o createtxg -t snapshot -r facts/tree | sort -u | wc -l)"
refused_with 'permission denied' "one denied dataset" as fact-snap zfs snapshot facts/tree@u facts/leaf@u
assert_eq "fails the whole call" t "$(snaps facts/tree)"
ok "control: without it, it works" as fact-snap zfs snapshot facts/tree@u

section "nouns: -d destroy,mount on a leaf"
zfs allow -d fact-prune destroy,mount facts/leaf
ok "destroys its snapshot" as fact-prune zfs destroy facts/leaf@a
assert_eq "and only that one" $'b\nc' "$(snaps facts/leaf)"
zfs destroy facts/leaf@b,c
refused_with 'permission denied' "and not the leaf, bare and unmounted as it is" as fact-prune zfs destroy facts/leaf
ok "which is there" exists facts/leaf
zfs snapshot facts/leaf@a && zfs bookmark facts/leaf@a facts/leaf#a
refused_with 'permission denied' "-d alone destroys no bookmark" as fact-prune zfs destroy 'facts/leaf#a'
zfs allow -l fact-prune destroy facts/leaf
ok "-l destroy beside it does" as fact-prune zfs destroy 'facts/leaf#a'
ok "and the snapshot still" as fact-prune zfs destroy facts/leaf@a
refused_with 'permission denied' "and still not the leaf" as fact-prune zfs destroy facts/leaf
zfs allow -l fact-prune destroy,mount facts/leaf
ok "control: with a local mount as well, the leaf goes" as fact-prune zfs destroy facts/leaf
ok "and is gone" gone facts/leaf

section "nouns: where there are children, -d reaches them"
zfs create facts/top && zfs create facts/top/child && zfs create -s -V 16M facts/top/vol
zfs allow -d fact-prune destroy,mount facts/top
ok "a bare child goes (so the other walls are needed)" as fact-prune zfs destroy facts/top/child
# What looks at a new device has it open for a moment.
ok "and a volume" wait_for 60 as fact-prune zfs destroy facts/top/vol
refused_with 'permission denied' "the top does not" as fact-prune zfs destroy facts/top

section "keys: a hold"
zfs create facts/top/child && zfs create -s -V 16M facts/top/vol
zfs snapshot facts/top/child@held facts/top/vol@held && zfs snapshot facts/top/child@free
zfs hold zam facts/top/child@held facts/top/vol@held
refused_with 'being held|busy' "a held snapshot is not destroyed by the user with the grant" as fact-prune zfs destroy facts/top/child@held
refused_with 'being held|busy' "nor with -R" as fact-prune zfs destroy -R facts/top/child@held
refused "nor its filesystem with -r" as fact-prune zfs destroy -r facts/top/child
refused "nor with -R" as fact-prune zfs destroy -R facts/top/child
refused "nor with -f -R" as fact-prune zfs destroy -f -R facts/top/child
refused "nor the volume with -r" as fact-prune zfs destroy -r facts/top/vol
refused "nor with -R" as fact-prune zfs destroy -R facts/top/vol
refused_with 'being held|busy' "nor by root" zfs destroy facts/top/child@held
ok "the held ones are there" exists facts/top/child@held
ok "both" exists facts/top/vol@held
note "the one beside it, without a hold: $(exists facts/top/child@free && echo there || echo gone)"
refused_with 'permission denied' "the user with destroy may not release" as fact-prune zfs release zam facts/top/child@held

section "keys: -d only marks"
assert_eq "no mark before" off "$(zfs get -H -o value defer_destroy facts/top/child@held)"
ok "destroy -d of a held snapshot exits 0" as fact-prune zfs destroy -d facts/top/child@held
ok "but it is there" exists facts/top/child@held
assert_eq "and marked, for all to see" on "$(as fact-none zfs get -H -o value defer_destroy facts/top/child@held)"
ok "a further hold" zfs hold other facts/top/child@held
ok "outlives the release of the first" zfs release zam facts/top/child@held
ok "and keeps it" exists facts/top/child@held
ok "the last release" zfs release other facts/top/child@held
ok "fires the mark" gone facts/top/child@held
zfs release zam facts/top/vol@held
ok "control: without a hold the volume's snapshot goes" as fact-prune zfs destroy facts/top/vol@held
ok "control: and the volume" as fact-prune zfs destroy facts/top/vol

section "hold and release are local rights"
zfs create facts/h && zfs snapshot facts/h@a
zfs allow -d fact-hold hold facts/h
refused_with 'permission denied' "-d hold on the filesystem itself does not hold" as fact-hold zfs hold zam facts/h@a
zfs unallow -d fact-hold hold facts/h && zfs allow -l fact-hold hold facts/h
ok "-l hold does" as fact-hold zfs hold zam facts/h@a
ok "it is held" held facts/h@a zam
refused_with 'permission denied' "hold without release cannot release" as fact-hold zfs release zam facts/h@a
refused "a tag twice is an error" as fact-hold zfs hold zam facts/h@a
zfs allow -l fact-snap release facts/h
ok "-l release releases, and anybody's tag" as fact-snap zfs release zam facts/h@a
ok "it is not held" not held facts/h@a zam
refused_with 'permission denied' "release without hold cannot hold" as fact-snap zfs hold zam facts/h@a

section "rollback and receive -F stop at a hold"
zfs create facts/src && zfs snapshot facts/src@1 && zfs snapshot facts/src@x
zfs send facts/src@1 | zfs receive -u facts/r
zfs send -i @1 facts/src@x >/var/tmp/x.stream
force() { zfs receive -u -F facts/r </var/tmp/x.stream; }
zfs snapshot facts/r@2
zfs hold zam facts/r@2
refused "root's rollback -r over a held snapshot" zfs rollback -r facts/r@1
refused "root's receive -F over it" force
assert_eq "both are there" $'1\n2' "$(snaps facts/r)"
zfs release zam facts/r@2
ok "control: without the hold receive -F does it" force
assert_eq "and the snapshot is gone" $'1\nx' "$(snaps facts/r)"
ok "control: without a hold rollback -r does it" zfs rollback -r facts/r@1
assert_eq "and the snapshot is gone" 1 "$(snaps facts/r)"

drop_pool facts
