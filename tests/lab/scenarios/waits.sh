#!/usr/bin/env bash
# What `run-when` waits for, as the running unit sees the machine: rest, hours, power; and no longer than it may.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 256M -O mountpoint=none
for name in rest hours mains limit; do zfs create tank/$name; done
closed=$(date -d '+2 hours' +%H:%M)-$(date -d '+3 hours' +%H:%M)
# Somebody uses it.
(while :; do :; done) &
user=$!
zam_up <<TOML
[default.managed-datasets]
snapshot-period = "1h"
prune-period = "1h"
windows = [{ max-age = "2d", period = "1h" }]
[[managed-datasets]]
source = "tank/rest"
run-when.snapshots = { idle = "10s", at-latest = "1h" }
[[managed-datasets]]
source = "tank/hours"
run-when.snapshots = { between = "$closed", at-latest = "1h" }
[[managed-datasets]]
source = "tank/mains"
run-when.snapshots = { ac-power = true, at-latest = "1h" }
[[managed-datasets]]
source = "tank/limit"
run-when.snapshots = { between = "$closed", at-latest = "40s" }
TOML
waits() { [[ $(status_row "tank/$1" '.waits_for') =~ $2 ]]; }
ok "what waits for mains is taken: the machine has no battery" wait_for 120 has_more tank/mains 0
ok "one waits for its hours" wait_for 60 waits hours 'until '
ok "one for rest" wait_for 60 waits rest 'in use, idle for 10s wanted; at the latest '
ok "one runs all the same, when its time is up" wait_for 180 has_more tank/limit 0
note "$(zamctl status | sed '1!s/^/   | /')"
note "$(zamctl explain tank/rest | head -n 8 | sed '1!s/^/   | /')"
assert_eq "none of the others was taken" "" "$(snaps tank/hours; snaps tank/rest)"
ok "what somebody asks for does not wait" zamctl snapshot tank/hours --name asked
kill $user
# Who looks uses it: nobody does for a while.
rested() { sleep 75 && has_more tank/rest 0; }
ok "when nobody uses it any more, the other is" wait_for 400 rested
assert_eq "the one with the hours is not" asked "$(snaps tank/hours)"
