#!/usr/bin/env bash
# A copy is cut in twenty places, by killing now this and now that of what takes part; before the hold, and before the bookmark. It goes
# on each time where it was, to the same end.
# timeout: 2400
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none -O compression=off
make_pool nas 512M -O mountpoint=none
zfs create -o mountpoint=/mnt/data tank/data
zfs create -o mountpoint=/mnt/hold tank/hold
echo x >/mnt/data/small && zfs snapshot tank/data@s1 && zfs snapshot tank/hold@s1
copies_up <<'TOML'
[default.managed-datasets]
adopt = ["s[0-9]*"]
replication-period = "never"
[[managed-datasets]]
source = "tank/data"
destinations = [{ remote-host = "olympus", bandwidth = "1M" }]
[[managed-datasets]]
source = "tank/hold"
destinations = [{ remote-host = "olympus" }]
TOML
copy=nas/zam/lab/tank/data
ok "control: the first arrive" zamctl replicate --wait

CUTS=20 SIZE=24
# a stream: some MiB that take a while at that rate.
number=1
stream() {
    number=$((number + 1))
    dd if=/dev/urandom of=/mnt/data/big bs=1M count=$SIZE status=none
    zfs snapshot tank/data@s$number
}
token() { zfs get -H -o value receive_resume_token $copy; }
# flying BYTES: so many of this stream, or of the rest of it, have gone out.
flying() { exists $copy@s$number || (($(copy tank/data '.running.bytes // 0') >= $1)); }
# Sends again at once what waits for its next turn; the daemons that were killed come back by themselves, in their time.
again() {
    local role
    for role in send recv; do systemctl is-active -q zamd-$role || { systemctl reset-failed zamd-$role && systemctl start zamd-$role; } || true; done
    zamctl replicate tank/data >/dev/null 2>&1 || true
}
flies() { flying "$1" || { again; sleep 1; flying "$1"; }; }
arrived() { exists $copy@s$number || { again; sleep 3; exists $copy@s$number; }; }
VICTIMS=(
    'zam-receive: pkill -KILL -u zam-ssh -x zam-receive'
    'sshd: pkill -KILL -u zam-ssh -x sshd-session || pkill -KILL -u zam-ssh -x sshd'
    'ssh: pkill -KILL -u zam-send -x ssh'
    'the process that reads: pkill -KILL -u zam-send -f "exe task"'
    'the process that receives: pkill -KILL -u zam-recv -f "task .*receive"'
    'zamd-send and all of it: systemctl kill -s KILL zamd-send'
    'zamd-recv and all of it: systemctl kill -s KILL zamd-recv'
)
section "cut in $CUTS places"
stream
cuts=0 tries=0 tokens=()
while ((cuts < CUTS && tries++ < 3 * CUTS)); do
    ok "it flies" wait_for 600 flies $((cuts % 5 * 300000 + 1))
    if exists $copy@s$number; then
        alike "tank/data@s$number, in spite of all" tank/data $copy
        stream
        continue
    fi
    victim=${VICTIMS[tries % ${#VICTIMS[@]}]}
    lab_try bash -c "${victim#*: }"
    ((LAB_STATUS == 0)) || continue
    cuts=$((cuts + 1)) token=$(token)
    tokens+=("$token")
    note "cut $cuts by ${victim%%: *}; then there: $(zfs get -H -o value used $copy/%recv 2>/dev/null || echo nothing), token ${token:0:20}"
done
assert_eq "it was cut so often" $CUTS $cuts
different=$(printf '%s\n' "${tokens[@]}" | sort -u | wc -l)
assert_eq "in different places: $different" yes "$( ((different >= CUTS / 2)) && echo yes)"
ok "it comes to its end" wait_for 900 arrived
alike "tank/data" tank/data $copy
assert_eq "each is there that is at the source, and nothing else" "$(guids tank/data)" "$(guids $copy)"
assert_eq "nothing is half there any more" "-" "$(token)"
ok "and nothing waits" wait_for 120 copy_is tank/data '"state":"idle"'

section "before the hold"
copy=nas/zam/lab/tank/hold
zfs unallow -u zam-recv hold nas/zam/lab
echo two >/mnt/hold/file && zfs snapshot tank/hold@s2
lab_try zamctl replicate tank/hold --wait
note "$LAB_OUTPUT"
ok "it has arrived" exists $copy@s2
assert_match "which is not taken for done" 'hold . failed . nas/zam/lab/tank/hold@s2' "$(audit zamd-recv | grep hold@s2 | xargs -d '\n')"
zfs allow -u zam-recv hold nas/zam/lab
ok "it is held all the same: the other key on the replica sees to it" wait_for 300 held $copy@s2 zam
ok "the next one goes on from there" bash -c 'echo three >/mnt/hold/file && zfs snapshot tank/hold@s3 && zamctl replicate tank/hold --wait'
alike "tank/hold" tank/hold $copy

section "before the bookmark"
zfs unallow -u zam-send bookmark tank/hold
echo four >/mnt/hold/file && zfs snapshot tank/hold@s4
lab_try zamctl replicate tank/hold --wait
assert_match "without its bookmark nothing is sent" 'bookmark' "$LAB_OUTPUT"
ok "nor is it there" gone $copy@s4
zfs allow -u zam-send bookmark tank/hold
zamctl replicate tank/hold
marked() { zfs list -H -p -o guid -t bookmark tank/hold | grep -qx "$(guid tank/hold@s4)"; }
ok "with it" wait_for 120 marked
systemctl kill -s KILL zamd-send
systemctl reset-failed zamd-send && systemctl start zamd-send
ok "killed right after it, it goes on" wait_for 300 bash -c "zamctl replicate tank/hold --wait; zfs list $copy@s4"
alike "tank/hold" tank/hold $copy
