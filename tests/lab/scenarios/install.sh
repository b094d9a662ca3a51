#!/usr/bin/env bash
# The installation that README shows, on a machine that never saw zam: the package starts nothing; a short config, the grants, the
# daemons, and there are snapshots. Then away with it, which costs no snapshot, and once more.
# bare
source "${ZAM_LAB:-/root/lab}/lib.sh"

UNITS=()
for role in snap prune; do UNITS+=("zamd-$role.service" "zamd-$role-status.socket" "zamd-$role-control.socket"); done
# state WORD: of each unit, as `systemctl WORD` says it
state() { for unit in "${UNITS[@]}"; do systemctl "$1" "$unit" || true; done | sort | uniq -c | xargs; }
snapshots() { zfs list -H -o name,guid,userrefs -t snapshot -r tank; }

make_pool tank 256M -O mountpoint=none
zfs create tank/home && zfs create tank/home/ann && zfs create tank/home/cache

section "the package alone"
ok "it installs" install_zam
for user in zam-snap zam-prune; do
    assert_eq "$user can log in nowhere" /usr/sbin/nologin "$(getent passwd $user | cut -d : -f 7)"
    assert_eq "$user is in its own group alone" $user "$(id -Gn $user)"
done
assert_match "operators: nobody yet" '^zam-operators:[^:]*:[0-9]+:$' "$(getent group zam-operators)"
assert_eq "no unit is enabled" "6 disabled" "$(state is-enabled)"
assert_eq "no unit runs" "6 inactive" "$(state is-active)"
ok "the example is a good config" zamctl check --config /usr/share/doc/zam/examples/zam.toml
ok "there is a man page" gzip -t /usr/share/man/man1/zamctl.1.gz
ok "and one for each verb" test -e /usr/share/man/man1/zamctl-explain.1.gz
for file in bash-completion/completions/zamctl zsh/vendor-completions/_zamctl fish/vendor_completions.d/zamctl.fish; do
    ok "completions: $file" grep -q unhold "/usr/share/$file"
done
ok "bash takes them" bash -n /usr/share/bash-completion/completions/zamctl
refused "no config: zamctl says so" zamctl check
systemctl start zamd-snap || true
assert_eq "without a config nothing starts" "6 inactive" "$(state is-active)"

section "as README shows it"
cat >/etc/zam/zam.toml <<'TOML'
[[managed-datasets]]
source = "tank/home"
recursive = true
exclude = ["cache"]
snapshot-period = "20s"
prune-period = "5s"
windows = [{ max-age = "2d", period = "20s" }, { max-age = "2w", period = "1h" }]
TOML
ok "a config of at most eight lines" test "$(wc -l </etc/zam/zam.toml)" -le 8
ok "zamctl check" zamctl check
note "$LAB_OUTPUT"
refused_with missing "grants are missing, and zamctl names them" zamctl grant --check
ok "zamctl grant --print | sh" sh -c 'zamctl grant --print | sh -e'
ok "none is missing, none too many" zamctl grant --check
ok "systemctl enable --now" systemctl enable --now zamd-snap zamd-prune
assert_eq "all units are enabled" "6 enabled" "$(state is-enabled)"
assert_eq "all units run" "6 active" "$(state is-active)"
ok "snapshots come" wait_for 300 has_more tank/home/ann 0
ok "held" wait_for 300 all_held tank
assert_eq "none of what is excluded" "" "$(snaps tank/home/cache)"
ok "zamctl status, as anybody" wait_for 300 as nobody zamctl status
assert_match "it shows them" "tank/home/ann .* ok" "$(as nobody zamctl status || true)"
zamctl status || true
note "systemctl status: $(systemctl show -p StatusText --value zamd-snap)"

section "removed, purged"
ok "dpkg -r" dpkg -r zam
assert_eq "nothing runs" "" "$(pgrep -a -u zam-snap,zam-prune || true)"
before=$(snapshots)
ok "there are snapshots" test -n "$before"
ok "notes stay, for who installs it again" test -s /var/lib/zam/snap/notes.json
ok "dpkg -P" dpkg -P zam
refused "no state is left" ls -d /var/lib/zam /run/zam
assert_eq "no unit is left" "" "$(find /etc/systemd /usr/lib/systemd -name '*zam*')"
ok "the config is the admin's" test -e /etc/zam/zam.toml
assert_eq "each snapshot is there, and held" "$before" "$(snapshots)"

section "once more"
ok "it installs" install_zam
assert_eq "nothing runs by itself" "6 inactive" "$(state is-active)"
ok "the grants are there still" zamctl grant --check
ok "systemctl enable --now" systemctl enable --now zamd-snap zamd-prune
ok "snapshots come" wait_for 300 has_more tank/home/ann "$(grep -c '^tank/home/ann@' <<<"$before")"
assert_eq "and those from before are there" "$before" "$(snapshots | grep -F "$before")"
