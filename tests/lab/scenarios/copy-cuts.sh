#!/usr/bin/env bash
# A copy is cut in twenty places, by killing now this and now that of what takes part; before the hold, and before the bookmark. It goes
# on each time where it was, to the same end.
# timeout: 2700
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 1G -O mountpoint=none -O compression=off
make_pool nas 1G -O mountpoint=none
zfs create -o mountpoint=/mnt/data tank/data
zfs create -o mountpoint=/mnt/hold tank/hold
echo x >/mnt/data/small && zfs snapshot tank/data@s1 && zfs snapshot tank/hold@s1
copies_up <<'TOML'
[default.managed-datasets]
adopt = ["s[0-9]*"]
replication-period = "never"
destinations = [{ remote-host = "olympus", bandwidth = "1M" }]
[[managed-datasets]]
source = "tank/data"
[[managed-datasets]]
source = "tank/hold"
TOML
copy=nas/zam/lab/tank/data
ok "control: the first arrive" zamctl replicate --wait
alike "control: tank/data" tank/data $copy

CUTS=20 MIB=24
number=1
# Some MiB, which take a while at that rate.
stream() {
    number=$((number + 1))
    dd if=/dev/urandom of=/mnt/data/big bs=1M count=$MIB status=none
    zfs snapshot tank/data@s$number
}
# again DATASET: sends at once what would wait for its next turn; who was killed is started, and not in twenty seconds.
again() {
    local role
    for role in send recv; do systemctl is-active -q zamd-$role || systemctl start zamd-$role || true; done
    zamctl replicate "$1" >/dev/null 2>&1 || true
}
# flying DATASET TAG BYTES: so many of its stream, or of the rest of it, have gone out; or all of it is there.
flying() {
    local state newest bytes until
    IFS=, read -r state newest bytes until < <(copy "$1" '[.state, .newest, .running.bytes // 0, .until] | join(",")')
    [[ $newest != "$2" ]] || return 0
    [[ $state == running ]] || { [[ $state == waiting && -z $until ]] || again "$1"; return 1; }
    ((bytes >= $3))
}
fly() {
    local patience=$((SECONDS + 600))
    again "$1"
    until flying "$@" 2>/dev/null; do ((SECONDS < patience)) || return 1; done
}
token() { zfs get -H -o value receive_resume_token $copy; }
further() { place=$(token) && [[ $place == 1-* && $place != "$before" && ! " ${places[*]} " == *" s$number/$place "* ]]; }
# There and held: one comes a moment after the other.
arrived() { held $copy@s$number zam || { again tank/data && false; }; }
VICTIMS=(
    'zam-receive: pkill -KILL -u zam-ssh -x zam-receive'
    'sshd: pkill -KILL -u zam-ssh -x sshd-session || pkill -KILL -u zam-ssh -x sshd'
    'ssh: pkill -KILL -u zam-send -x ssh'
    'the process that makes it: pkill -KILL -u zam-send -f "task copy"'
    'the process that receives: pkill -KILL -u zam-recv -f "task .*receive"'
    'zamd-send and all of it: systemctl kill -s KILL zamd-send'
    'the process that moves it: pkill -KILL -u zam-recv -f "task .move"'
    'zamd-recv and all of it: systemctl kill -s KILL zamd-recv'
)
section "cut in $CUTS places"
stream
cuts=0 tries=0 streams=1 misses=0 places=()
declare -A by=()
# Until it was cut often enough, and by each.
while ((cuts < CUTS || ${#by[@]} < ${#VICTIMS[@]})) && ((tries++ < 4 * CUTS)); do
    # What is still on its way when zamd-recv itself is killed does not arrive: after a miss, more goes out first.
    fly tank/data s$number $((tries % 5 * 150000 + 100000 + misses * 1000000)) || { fail "it does not fly any more" && copy tank/data && break; }
    if exists $copy@s$number; then
        # Not cut this time: another one.
        stream && streams=$((streams + 1)) misses=0
        continue
    fi
    victim=${VICTIMS[tries % ${#VICTIMS[@]}]}
    # In the end those that are missing.
    ((cuts < CUTS)) || for victim in "${VICTIMS[@]}"; do [[ ${by[${victim%%: *}]:-} ]] || break; done
    before=$(token)
    bash -c "${victim#*: }" || continue
    # Whoever receives lets go, and ZFS writes down how far it came.
    wait_for 10 further >/dev/null || { note "at ${victim%%: *}: nothing more than before is there" && misses=$((misses + 1)) && continue; }
    misses=0 cuts=$((cuts + 1)) by[${victim%%: *}]=1
    places+=("s$number/$place")
    note "cut $cuts: ${victim%%: *} (at $SECONDS s)"
done
ok "it was cut in $CUTS places, each further on than the one before" test "$cuts" -ge $CUTS
assert_eq "by each of these" "$(printf '%s\n' "${VICTIMS[@]%%: *}" | sort)" "$(printf '%s\n' "${!by[@]}" | sort)"
note "$(zamctl status tank/data | sed '1!s/^/   | /')"
ok "it comes to its end" wait_for 600 arrived
alike "tank/data" tank/data $copy
assert_eq "each of the $streams is there, and nothing else" "$(guids tank/data)" "$(guids $copy)"
assert_eq "nothing is half there any more" "-" "$(token)"
# It was never begun anew: that would have a line.
assert_eq "nothing that was there was thrown away" "" "$(audit zamd-recv | grep '^clear' || true)"
ok "and nothing waits" wait_for 120 copy_is tank/data '"state":"idle"'

section "before the hold"
copy=nas/zam/lab/tank/hold
# The other key on the replica would hold it at once.
systemctl stop zamd-snap
zfs unallow -u zam-recv hold nas/zam/lab
echo two >/mnt/hold/file && zfs snapshot tank/hold@s2
said() { audit zamd-recv | grep -q "^hold | done | $copy@s2 .*its hold was missing"; }
refused "what is there and not held is not taken for done" zamctl replicate tank/hold --wait
ok "there it is" exists $copy@s2
ok "not held" not held $copy@s2
assert_match "which stands in the trail" 'hold . failed . nas/zam/lab/tank/hold@s2' "$(audit zamd-recv | grep hold@s2 | xargs -d '\n')"
systemctl kill -s KILL zamd-recv
zfs allow -u zam-recv hold nas/zam/lab
systemctl start zamd-recv
ok "zamd-recv holds it, though nothing comes any more and zamd-snap is away" wait_for 120 held $copy@s2 zam
ok "and says so" wait_for 60 said
systemctl start zamd-snap
ok "the next one goes on from there" bash -c 'echo three >/mnt/hold/file && zfs snapshot tank/hold@s3 && zamctl replicate tank/hold --wait'
alike "tank/hold" tank/hold $copy
assert_eq "each is there once" "$(guids tank/hold)" "$(guids $copy)"

section "before the bookmark"
marked() { zfs list -H -p -o guid -t bookmark tank/hold | grep -qx "$(guid tank/hold@$1)"; }
zfs unallow -u zam-send bookmark tank/hold
dd if=/dev/urandom of=/mnt/hold/file bs=1M count=24 status=none && zfs snapshot tank/hold@s4
refused_with 'bookmark' "without its bookmark nothing is sent" zamctl replicate tank/hold --wait
ok "nor is it there" gone $copy@s4
zfs allow -u zam-send bookmark tank/hold
again tank/hold
ok "with it, it is" wait_for 120 marked s4
systemctl kill -s KILL zamd-send
ok "killed right after the bookmark, which came before the snapshot" gone $copy@s4
ok "it goes on" fly tank/hold s4 100000
systemctl kill -s KILL zamd-send
# As if it had been killed before that one: what the replica has must have it.
for mark in $(zfs list -H -o name -t bookmark tank/hold); do zfs destroy "$mark"; done
again tank/hold
ok "killed once more, and without any bookmark, it is sent to its end" wait_for 300 held $copy@s4 zam
ok "and has its bookmark" wait_for 120 marked s4
alike "tank/hold" tank/hold $copy
assert_eq "each is there once" "$(guids tank/hold)" "$(guids $copy)"
