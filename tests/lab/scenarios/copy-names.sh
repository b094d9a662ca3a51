#!/usr/bin/env bash
# What is renamed, cloned and promoted at the source: never sent anew in silence, never mixed up.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none
make_pool nas 512M -O mountpoint=none
for name in one two three; do zfs create -o mountpoint=/mnt/$name tank/$name && echo $name >/mnt/$name/file; done
zfs create tank/one/below
zfs snapshot -r tank@s1
copies_up <<'TOML'
[[managed-datasets]]
source = "tank"
recursive = true
adopt = ["s[0-9]*"]
replication-period = "never"
destinations = [{ remote-host = "olympus" }]
TOML
copy=nas/zam/lab/tank
ok "control: all are sent" zamctl replicate --wait
ok "control: they are there" exists $copy/one/below@s1

section "renamed at the source"
identity=$(guid $copy/one)
zfs rename tank/one tank/moved
echo more >/mnt/one/more && zfs snapshot -r tank@s2
lab_try zamctl replicate --wait
note "$LAB_OUTPUT"
ok "nothing was sent under the new name" gone $copy/moved
ok "and the status says what to type" wait_for 60 copy_is tank/moved 'zfs rename'
note "$(copy tank/moved '.problems | join("; ")')"
ok "control: what is beside it went on" exists $copy/three@s2
rename=$(copy tank/moved '.problems | join("; ")' | grep -oE '`zfs rename [^`]+`' | head -n 1 | tr -d '`')
ok "that is typed: $rename" bash -c "$rename"
ok "and it goes on" zamctl replicate tank/moved -r --wait
assert_eq "as the dataset that it was" "$identity $(guids tank/moved)" "$(guid $copy/moved) $(guids $copy/moved)"

section "cloned at the source"
echo origin >/mnt/two/file && zfs snapshot tank/two@s3
ok "it is sent" zamctl replicate tank/two --wait
zfs clone -o mountpoint=/mnt/kid tank/two@s3 tank/kid
echo kid >/mnt/kid/file && zfs snapshot tank/kid@s4
ok "the clone is sent" zamctl replicate tank/kid --wait
alike "as a dataset of its own" tank/kid $copy/kid

section "and promoted"
# All that both have of tank/two is the clone's from now on, with the bookmarks.
zfs promote tank/kid
echo 'kid 5' >/mnt/kid/file && echo 'two 5' >/mnt/two/file
zfs snapshot tank/kid@s5 && zfs snapshot tank/two@s5
before=$(guids $copy/two)
ok "the clone goes on" zamctl replicate tank/kid --wait
alike "tank/kid" tank/kid $copy/kid
lab_try zamctl replicate tank/two --wait
assert_match "what it came from has nothing in common with its copy, which is said" 'neither a snapshot nor a bookmark in common' "$LAB_OUTPUT"
note "$LAB_OUTPUT"
assert_eq "nothing is sent in silence, nothing lost" "$before" "$(guids $copy/two)"
lab_try zamctl replicate tank/two --to olympus --full --wait
assert_match "nor over what is there" 'zfs rename' "$LAB_OUTPUT"
rename=$(grep -oE '`zfs rename [^`]+`' <<<"$LAB_OUTPUT" | head -n 1 | tr -d '`')
ok "what it says is typed: $rename" bash -c "$rename"
ok "and all is sent anew" zamctl replicate tank/two --to olympus --full --wait
alike "tank/two" tank/two $copy/two
assert_match "its old copy is there, by its new name" "$before" "$(for name in $(zfs list -H -o name -r $copy); do guids "$name"; done)"
