#!/usr/bin/env bash
# Who may come in through which door: a local user, an operator, root, and the users of the roles themselves.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 256M -O mountpoint=none
zfs create tank/data
zam_up <<'TOML'
[[managed-datasets]]
source = "tank/data"
snapshot-period = "1d"
prune-period = "10s"
grace = "1h"
keep = { daily = 30 }
TOML
make_user alice
make_user bob zam-operators
ok "the first snapshot is there" wait_for 300 sh -c '[ -n "$(zfs list -H -o name -t snapshot tank/data)" ]'

# exits CODE DESC CMD...
exits() {
    local want=$1 desc=$2
    shift 2
    lab_try "$@"
    assert_eq "$desc" "exit $want" "exit $LAB_STATUS"
    lab_told
}

section "a local user sees all and moves nothing"
exits 0 "status" as alice zamctl status
assert_match "with the dataset" 'tank/data' "$LAB_OUTPUT"
exits 0 "plan" as alice zamctl plan
exits 0 "explain" as alice zamctl explain tank/data
ok "root makes one" zamctl snapshot tank/data --name first
ok "and another" zamctl snapshot tank/data --name second
before=$(zfs list -H -o name,guid,userrefs -t snapshot tank/data)
exits 4 "R-DOOR-1 no snapshot" as alice zamctl snapshot tank/data
assert_match "R-DOOR-1 and says who may" 'zam-operators' "$LAB_OUTPUT"
exits 4 "R-DOOR-1 no prune" as alice zamctl prune
assert_match "R-DOOR-1 and says who may" 'zam-operators' "$LAB_OUTPUT"
exits 4 "R-DOOR-1 no prune --now" as alice zamctl prune --now
exits 4 "R-DOOR-1 no expire" as alice zamctl expire tank/data@first
exits 4 "R-DOOR-1 no keep" as alice zamctl keep tank/data@first
exits 4 "R-DOOR-1 no unkeep" as alice zamctl unkeep tank/data@first
exits 4 "R-DOOR-1 no unhold" as alice zamctl unhold tank/data
exits 4 "R-DOOR-1 nobody neither" as nobody zamctl snapshot tank/data
for role in snap prune; do
    refused "R-DOOR-1 the door of zamd-$role itself" as alice sh -c "exec 3<>/dev/null; socat -u /dev/null UNIX-CONNECT:/run/zam/$role/control.sock"
    refused "R-DOOR-1 nor is it replaced" as alice rm -f /run/zam/$role/control.sock
    ok "control: the status door opens" as alice socat -u /dev/null UNIX-CONNECT:/run/zam/$role/status.sock
    assert_eq "modes of zamd-$role's doors" $'660 root zam-operators\n666 root root' \
        "$(stat -c '%a %U %G' /run/zam/$role/control.sock /run/zam/$role/status.sock)"
done
assert_eq "R-CTL-1 zamctl has no rights of its own" "755 root root" "$(stat -c '%a %U %G' /usr/bin/zamctl)"
assert_eq "R-CTL-1 nor capabilities" "" "$(getcap /usr/bin/zamctl /usr/bin/zamd-snap /usr/bin/zamd-prune 2>/dev/null || true)"
assert_eq "R-DOOR-1 nothing has changed" "$before" "$(zfs list -H -o name,guid,userrefs -t snapshot tank/data)"
granted=$(zfs allow tank/data)
exits 0 "R-CTL-2 grant --print prints, for anybody" as alice zamctl grant --print
ok "R-CTL-2 nor does it for root" sh -c 'zamctl grant --print --role prune | sed s/zam-prune/alice/ >/var/tmp/grants'
assert_eq "R-CTL-2 and grants nothing" "$granted" "$(zfs allow tank/data)"
refused "R-CTL-2 what it prints is for root: alice grants nothing" as alice sh /var/tmp/grants

section "an operator acts, and does not unhold"
exits 0 "control: a snapshot" as bob zamctl snapshot tank/data --name third
ok "it is there, held" held tank/data@third zam
exits 0 "control: a prune" as bob zamctl prune
exits 0 "control: keep" as bob zamctl keep tank/data@third
exits 0 "control: unkeep" as bob zamctl unkeep tank/data@third
exits 4 "R-DOOR-2 no unhold" as bob zamctl unhold tank/data
assert_match "R-DOOR-2 and says who may" 'root' "$LAB_OUTPUT"
ok "R-DOOR-2 it is held" held tank/data@first zam
exits 0 "control: expire" as bob zamctl expire tank/data@first
ok "control: which zamd-snap releases" wait_for 300 not held tank/data@first zam
ok "and which is there for its grace" exists tank/data@first

section "the roles themselves"
exits 4 "R-PRUNE-11 zam-prune asks nothing of zamd-snap" as zam-prune zamctl snapshot tank/data
exits 4 "R-PRUNE-11 no unhold" as zam-prune zamctl unhold tank/data
exits 4 "R-SNAP-9 zam-snap asks nothing of zamd-prune" as zam-snap zamctl prune --now
usermod -a -G zam-operators zam-prune
usermod -a -G zam-operators zam-snap
exits 4 "R-DOOR-3 in the group of the operators neither" as zam-prune zamctl snapshot tank/data
exits 4 "R-DOOR-3 nor zam-snap" as zam-snap zamctl prune --now
gpasswd -d zam-prune zam-operators >/dev/null
gpasswd -d zam-snap zam-operators >/dev/null
ok "control: each has its own folder" as zam-snap ls /var/lib/zam/snap
ok "control: and reads in it" as zam-prune sh -c 'cat /var/lib/zam/prune/* >/dev/null'
refused "R-SNAP-9 zam-snap does not see the other's" as zam-snap ls /var/lib/zam/prune
refused "R-PRUNE-11 zam-prune does not see the other's" as zam-prune ls /var/lib/zam/snap
refused "R-DOOR-4 nor does a local user see" as alice ls /var/lib/zam/snap
refused "R-DOOR-4 either" as bob ls /var/lib/zam/prune
refused "R-DOOR-4 nor change the config" as bob sh -c 'echo >>/etc/zam/zam.toml'
for user in zam-snap zam-prune; do
    refused "R-DOOR-4 nor does $user" as $user sh -c 'echo >>/etc/zam/zam.toml'
    refused "R-DOOR-4 $user puts no socket in another's place" as $user sh -c 'rm -f /run/zam/*/*.sock'
done

section "root"
exits 0 "control: unhold" zamctl unhold tank/data
ok "nothing is held by zam" not sh -c 'zfs holds -H tank/data@second | grep -q .'
ok "control: root destroys" zfs destroy tank/data@second
exits 0 "and goes on" zamctl unhold --undo tank/data
drop_pool tank
