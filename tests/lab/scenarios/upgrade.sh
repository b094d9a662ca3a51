#!/usr/bin/env bash
# The package is replaced by a newer one, and by the older again, in the middle of a copy and of thinning: what runs is restarted, what
# does not stays so, what was begun goes on, nothing that is kept is lost.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none -O compression=off
make_pool nas 512M -O mountpoint=none
zfs create -o mountpoint=/mnt/data tank/data
zfs create tank/quick
dd if=/dev/urandom of=/mnt/data/file bs=1M count=1 status=none && zfs snapshot tank/data@s1
copies_up <<'TOML'
[[managed-datasets]]
source = "tank/data"
adopt = ["s[0-9]*"]
replication-period = "never"
destinations = [{ remote-host = "olympus", bandwidth = "150K" }]
[[managed-datasets]]
source = "tank/quick"
snapshot-period = "2s"
prune-period = "2s"
grace = "2s"
silence = 0
windows = [{ max-age = "10s", period = "2s" }, { max-age = "1d", period = "1m" }]
TOML
copy=nas/zam/lab/tank/data
# The same in all but its version.
dpkg-deb -R "$ZAM_LAB/zam.deb" /var/tmp/newer
sed -i 's/^Version: .*/Version: 99.0/' /var/tmp/newer/DEBIAN/control
dpkg-deb -Znone -b /var/tmp/newer /var/tmp/newer.deb >/dev/null
version() { dpkg-query -W -f '${Version}' zam; }
pids() { for role in snap prune send recv watch; do systemctl show -p MainPID --value "zamd-$role"; done; }
dead() { zpool history -i tank | grep -c ' destroy ' || true; }
more_dead() { (($(dead) > $1)); }
under_way() { (($(copy tank/data '.running.bytes // 0') > 400000)); }
# pace RATE: from now on it goes out so fast
pace() { sed -i "s/bandwidth = \"[^\"]*\"/bandwidth = \"$1\"/" /etc/zam/zam.toml && systemctl reload zamd-send; }
older=$(version)
ok "the first is there" zamctl replicate tank/data --wait
ok "something dies" wait_for 300 more_dead 0

number=1
for deb in /var/tmp/newer.deb "$ZAM_LAB/zam.deb"; do
    number=$((number + 1))
    pace 150K
    dd if=/dev/urandom of=/mnt/data/file bs=1M count=24 status=none && zfs snapshot tank/data@s$number
    zamctl replicate tank/data >/dev/null
    section "$(version), replaced"
    ok "a copy is under way" wait_for 300 under_way
    mapfile -t before < <(pids)
    ok "control: four daemons run, and one does not" test "$(printf '%s\n' "${before[@]}" | grep -cvx 0)" -eq 4
    gone_before=$(dead)
    ok "dpkg -i" dpkg -i "$deb"
    note "now it is $(version)"
    mapfile -t after < <(pids)
    for ((i = 0; i < 4; i++)); do ok "restarted (${before[i]}, ${after[i]})" test "${after[i]}" -ne 0 -a "${after[i]}" -ne "${before[i]}"; done
    assert_eq "what did not run does not" 0 "${after[4]}"
    ok "not there yet" gone "$copy@s$number"
    pace 50M
    ok "it goes on, to its end" zamctl replicate tank/data --wait
    ok "it is there" exists "$copy@s$number"
    alike "tank/data" tank/data $copy
    assert_eq "it was not begun anew" "" "$(audit zamd-recv | grep '^clear' || true)"
    ok "thinning goes on" wait_for 300 more_dead "$gone_before"
    ok "what policy keeps is held" wait_for 120 kept_held tank/quick
    ok "the grants are what they should be" zamctl grant --check
done
assert_eq "in the end it is as before" "$older" "$(version)"
systemctl stop zamd-snap zamd-prune
assert_eq "nothing that policy keeps is gone" "" "$(lost_firsts tank/quick 60)"
