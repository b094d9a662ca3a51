#!/usr/bin/env bash
# The config is changed under running daemons: a good one takes effect, a bad one is refused; a narrowed window meets the brake; one
# that is widened again in time costs nothing.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 256M -O mountpoint=none
for dataset in a b c; do zfs create tank/$dataset; done
# config WINDOWS_OF_A WINDOWS_OF_B [MORE]
config() {
    cat <<TOML
[default.managed-datasets]
snapshot-period = "5s"
prune-period = "3s"
silence = 0
[[managed-datasets]]
source = "tank/a"
grace = "3s"
windows = [{ max-age = "$1", period = "5s" }]
[[managed-datasets]]
source = "tank/b"
grace = "1d"
brake = 100
windows = [{ max-age = "$2", period = "5s" }]
${3:-}
TOML
}
load() { config "$@" | zam_config; }
TWO=$'[[managed-datasets]]\nsource = "tank/c"'
pids() { systemctl show -p MainPID --value zamd-snap zamd-prune | xargs; }
refused_config() { (($(status_json | jq '[.daemons[] | select(.config_problem != null)] | length') == $1)); }

zam_up <<<"$(config 1d 1d)"
ok "snapshots come" wait_for 300 has_more tank/b 5
before=$(pids)

section "a good config"
ok "takes effect" load 1d 1d "$TWO"
ok "and the grants follow" sh -c 'zamctl grant --print | sh -e'
ok "the new entry gets snapshots" wait_for 300 has_more tank/c 0
assert_eq "the daemons are the same" "$before" "$(pids)"

section "a bad config"
config 1d 1d 'snapshot-peroid = "1s"' >/etc/zam/zam.toml
refused_with 'failed|Failed' "systemctl reload says so" systemctl reload zamd-snap
refused_with 'zam.toml:[0-9]+.*snapshot-peroid' "zamctl check says where" zamctl check
ok "SIGHUP" systemctl kill -s HUP --kill-whom=main zamd-snap zamd-prune
ok "zamctl status says that it is refused, by both" wait_for 300 refused_config 2
assert_match "in words" 'runs by an old config' "$(zamctl status || true)"
count=$(snaps tank/c | wc -l)
ok "the old one goes on, with the entry that the bad file has not" wait_for 300 has_more tank/c "$count"
assert_eq "the daemons are the same" "$before" "$(pids)"
ok "a good one again" load 1d 1d "$TWO"
ok "nothing is left of that" wait_for 300 refused_config 0

section "windows that are too narrow"
old_a=$(zfs list -H -o name -t snapshot tank/a | sed '$d') old_b=$(zfs list -H -o name -t snapshot tank/b | sed '$d')
note "$(wc -l <<<"$old_a") snapshots of tank/a, $(wc -l <<<"$old_b") of tank/b"
ok "reload" load 8s 8s "$TWO"
braked() { [[ $(status_row tank/a .braked) =~ ^[0-9a-f]{16}$ ]]; }
ok "the brake is on" wait_for 300 braked
ok "status says what to do" wait_for 300 status_says tank/a 'braked, [0-9]+ would go: zamctl prune --approve [0-9a-f]{16}'
zamctl status tank || true
none_held() { [[ $(zfs list -H -o userrefs $1 | sort -u) == 0 ]]; }
all_there() { zfs list -H -o name $1 >/dev/null; }
ok "tank/b has none: what is old there is released" wait_for 300 none_held "$old_b"
ok "three more rounds" goes_round zamd-prune tank 3
ok "of tank/a all are there still" all_there "$old_a"
assert_eq "and held" "" "$(zfs list -H -o name,userrefs $old_a | awk '$2 == 0')"
plan=$(status_row tank/a .braked)
refused "approved by nobody" as nobody zamctl prune --approve "$plan"
refused "another plan is not this one" zamctl prune --approve 0000000000000bad
ok "root approves" zamctl prune --approve "$plan"
all_gone() { local name; for name in $1; do if exists "$name"; then return 1; fi; done; }
ok "they go" wait_for 300 all_gone "$old_a"

section "and taken back in time"
ok "what is old in tank/b is in its grace" all_there "$old_b"
ok "the windows as they were" load 1d 1d "$TWO"
held_all() { [[ -z $(zfs list -H -o name,userrefs $old_b | awk '$2 == 0') ]]; }
ok "all of it is held again" wait_for 300 held_all
ok "and all is there" all_there "$old_b"
ok "kept, by zamctl explain" wait_for 300 kept_held tank/b
assert_eq "nothing of tank/b ever died" "" "$(journalctl OP=destroy -o json | jq -r .WHAT | grep '^tank/b@' || true)"
