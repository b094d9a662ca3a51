#!/usr/bin/env bash
# The wall of nouns alone: zam-prune's own shell, a leaf, snapshots that nobody holds, no ioctl filter. The grant reaches
# the snapshots of the leaf, and nothing else.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 256M -O mountpoint=none
zfs create tank/top && zfs create tank/top/leaf && zfs create tank/top/sibling && zfs create -s -V 16M tank/top/vol
install_zam >/dev/null
cat >/etc/zam/zam.toml <<'TOML'
[[managed-datasets]]
source = "tank/top/leaf"
snapshot-period = "1h"
keep = { hourly = 24 }
[[managed-datasets]]
source = "tank/top/vol"
snapshot-period = "1h"
keep = { hourly = 24 }
TOML
zfs snapshot -r tank@a && zfs snapshot -r tank@b
refused_with 'permission denied' "before any grant zam-prune destroys nothing" as zam-prune zfs destroy tank/top/leaf@a
refused_with 'permission denied' "and zam-snap takes nothing" as zam-snap zfs snapshot tank/top/leaf@x
ok "grant" sh -c 'zamctl grant --print | sh'
ok "which is what was wanted" zamctl grant --check
note "$(zfs allow tank/top/leaf | tr '\n' ';')"

section "what it reaches"
ok "a snapshot of the leaf" as zam-prune zfs destroy tank/top/leaf@a
ok "a snapshot of the volume" as zam-prune zfs destroy tank/top/vol@a
assert_eq "that one alone" b "$(snaps tank/top/leaf)"

section "what it does not"
zfs destroy tank/top/leaf@b
zfs destroy tank/top/vol@b
refused_with 'permission denied' "R-PRUNE-8 the leaf, bare, unmounted and without snapshots" as zam-prune zfs destroy tank/top/leaf
refused_with 'permission denied' "R-PRUNE-8 nor with -f -R" as zam-prune zfs destroy -f -R tank/top/leaf
refused_with 'permission denied' "R-PRUNE-8 the volume" as zam-prune zfs destroy tank/top/vol
refused_with 'permission denied' "R-PRUNE-8 a sibling's snapshot" as zam-prune zfs destroy tank/top/sibling@a
refused_with 'permission denied' "R-PRUNE-8 the parent's snapshot" as zam-prune zfs destroy tank/top@a
refused_with 'permission denied' "R-PRUNE-8 all of a name" as zam-prune zfs destroy -r tank/top@a
refused "R-PRUNE-8 the parent" as zam-prune zfs destroy -r tank/top
refused_with 'permission denied' "R-PRUNE-8 the sibling" as zam-prune zfs destroy -r tank/top/sibling
refused_with 'permission denied' "R-SNAP-6 zam-snap takes none of the sibling" as zam-snap zfs snapshot tank/top/sibling@x
refused_with 'permission denied' "R-SNAP-6 and none of all at once" as zam-snap zfs snapshot -r tank/top@x
assert_eq "all is there" $'tank\ntank/top\ntank/top/leaf\ntank/top/sibling\ntank/top/vol' "$(zfs list -H -o name -t filesystem,volume)"
assert_eq "the sibling's snapshots too" $'a\nb' "$(snaps tank/top/sibling)"

section "controls"
ok "zam-snap takes one of the leaf" as zam-snap zfs snapshot tank/top/leaf@x
ok "with the grant on it the sibling's snapshot goes" sh -c 'zfs allow -d zam-prune destroy,mount tank/top/sibling'
ok "by zam-prune" as zam-prune zfs destroy tank/top/sibling@a
ok "with the grant above, the sibling goes" sh -c 'zfs allow -d zam-prune destroy,mount tank/top'
refused "zamctl sees that it is too much" zamctl grant --check
ok "with all its snapshots, which nobody holds" as zam-prune zfs destroy -r tank/top/sibling
zfs destroy tank/top/leaf@x
ok "root destroys the leaf" zfs destroy tank/top/leaf
ok "and the volume" zfs destroy tank/top/vol
drop_pool tank
