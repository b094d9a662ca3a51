#!/usr/bin/env bash
# A replica that lies: in the place of zam-receive a program of ours, behind a second sshd of this machine. The source loses nothing,
# and goes on with the honest replica all the time.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=none -O compression=off
make_pool nas 512M -O mountpoint=none
zfs create -o mountpoint=/mnt/data tank/data
echo 'a secret in clear' >/var/tmp/passphrase
zfs create -o mountpoint=/mnt/secret -o encryption=on -o keyformat=passphrase -o keylocation=file:///var/tmp/passphrase tank/secret
for dataset in data secret; do
    dd if=/dev/urandom of=/mnt/$dataset/file bs=1M count=1 status=none
done
zfs snapshot tank/data@s1 tank/secret@s1
install -m 755 "$ZAM_LAB/bin/stranger" /usr/local/bin/
copies_up <<'TOML'
[default.managed-datasets]
adopt = ["s[0-9]*"]
replication-period = "never"
prune-period = "2s"
grace = "2s"
destinations = [{ remote-host = "olympus" }, { remote-host = "liar" }]
[[managed-datasets]]
source = "tank/data"
[[managed-datasets]]
source = "tank/secret"
[[replicas]]
client = "liar"
root = "nas/zam/liar"
TOML
# The liar's: the same account, another port, and what it starts is its own.
mkdir -p /var/tmp/liar/took && chown zam-ssh: /var/tmp/liar/took
for key in host other; do ssh-keygen -q -t ed25519 -N '' -f /var/tmp/liar/$key; done
liar_sshd() { # KEY
    # shellcheck disable=SC2046 # none or one
    kill $(cat /var/tmp/liar/pid 2>/dev/null) 2>/dev/null || true
    wait_for 60 not bash -c 'exec 3<>/dev/tcp/127.0.0.1/2222'
    /usr/sbin/sshd -f /dev/null -p 2222 -h /var/tmp/liar/"$1" -o ListenAddress=127.0.0.1 -o PidFile=/var/tmp/liar/pid -o UsePAM=yes -o PasswordAuthentication=no \
        -o AuthorizedKeysFile=/etc/zam/authorized_keys -o ForceCommand=/var/tmp/liar/command -E /var/tmp/liar/log
    wait_for 60 bash -c 'exec 3<>/dev/tcp/127.0.0.1/2222'
}
command_is() { printf '#!/bin/sh\nexec %s\n' "$*" >/var/tmp/liar/command.new && chmod 755 /var/tmp/liar/command.new && mv /var/tmp/liar/command.new /var/tmp/liar/command; }
command_is /usr/bin/zam-receive --client liar --root nas/zam/liar
liar_sshd host
as_root ssh --print liar --client liar --root nas/zam/liar --address 127.0.0.1 --port 2222
as_root grant --print --replica
systemctl reload zamd-recv zamd-send
honest=nas/zam/lab/tank

# row DATASET: of its copy at the liar's.
row() { copy "$1" 'select(.host == "liar") | tostring'; }
row_is() { [[ $(row "$1") =~ $2 ]]; }
section "both honest, as control"
ok "control: both get all" zamctl replicate --wait
for dataset in data secret; do
    assert_eq "control: $dataset gets to the honest one" "$(guids tank/$dataset)" "$(guids $honest/$dataset)"
    assert_eq "control: through the other port $dataset gets there too" "$(guids tank/$dataset)" "$(guids nas/zam/liar/tank/$dataset)"
done
# All snapshots of the source, and how many holds there are on each. Of bookmarks those go that nothing needs any more.
source_has() { zfs list -H -p -o name,guid,userrefs -t snapshot -r tank/data tank/secret; }
number=1
# tried ID WHAT LIE...: the next snapshots are taken, and sent to both; the honest one gets them, while the other one still lies if it
# ever lies on; nothing has gone from the source.
tried() {
    local id=$1 what=$2 before gone dataset
    shift 2
    number=$((number + 1))
    command_is /usr/local/bin/stranger replica nas/zam/liar /var/tmp/liar/took "$*"
    rm -f /var/tmp/liar/took/*
    # So that each step has it.
    for dataset in data secret; do printf 'what only the owner reads\n%.0s' {1..10000} >/mnt/$dataset/text; done
    zfs snapshot tank/data@s$number tank/secret@s$number
    for dataset in data secret; do ok "the source holds its $dataset" wait_for 120 held tank/$dataset@s$number zam; done
    before=$(source_has)
    zamctl replicate >/dev/null
    for dataset in data secret; do ok "$id $what: the honest one gets $dataset" wait_for 900 held $honest/$dataset@s$number zam; done
    ok "control: the liar was asked" wait_for 300 asked
    gone=$(grep -vxF -f <(source_has) <<<"$before" || true)
    assert_eq "R-SEND-9 $what: nothing has gone from the source" "" "$gone"
}
asked() { [[ -s /var/tmp/liar/took/asked ]]; }
lies_on() { pgrep -u zam-ssh -x stranger >/dev/null; }
hush() {
    pkill -KILL -u zam-ssh -x stranger || true
    wait_for 120 not lies_on
    # What it asked of that session has an end before the next one begins.
    wait_for 120 bash -c '! zamctl status --json | jq -e ".copies[] | select(.host == \"liar\" and .state == \"running\")"'
}

section "it answers otherwise than agreed"
tried R-SEND-10 "garbage" garbage
ok "its row says so" wait_for 120 row_is tank/data 'not understood|odd|answers'
note "$(row tank/data | jq -r '.waits_for // .state')"
hush
for lie in mute silent still; do
    begun=$SECONDS
    tried R-SEND-10 "it is $lie" $lie
    # Who says nothing at all is given up after two minutes.
    if [[ $lie != mute ]] || ((SECONDS - begun < 90)); then ok "control: it is so still" lies_on; fi
    hush
done
asked() { [[ -s /var/tmp/liar/took/asked ]]; }
tried R-SEND-10 "a listing without end" endless
ok "R-SEND-10 which is given up" wait_for 900 row_is tank/data 'listing'
note "$(row tank/data | jq -r '.waits_for // .state')"
note "zamd-send's memory: $(systemctl show -p MemoryCurrent --value zamd-send), $(systemctl show -p NRestarts --value zamd-send) restarts"
hush

section "it says that it has what it has not"
A=$(guid tank/data@s1) S=$(guid tank/secret@s1)
tried R-SEND-9 "the newest, whatever that is" "has=tank/data@s2,guid=7" "has=tank/secret@s2,guid=8"
ok "with what is none of the source's it has nothing in common" wait_for 120 row_is tank/data 'in common'
hush
tried R-SEND-9 "nothing, where all was"
ok "nothing is sent anew unasked" wait_for 120 row_is tank/data 'not there any more'
assert_eq "it got nothing" "" "$(ls /var/tmp/liar/took | grep -v asked || true)"
hush
tried R-SEND-9 "all that it is sent" "has=tank/data@s1,guid=$A" "has=tank/secret@s1,guid=$S"
ok "it was sent something" wait_for 120 test -s /var/tmp/liar/took/tank_data@s$number
ok "and its row says that all is well, since it says so" wait_for 120 row_is tank/data '"state":"idle"'
# The lie goes on: the source has thinned nothing by it.
assert_eq "R-SEND-9 the source has what was sent as before" $number "$(snaps tank/data | wc -l)"
hush

section "it says that a stream was cut"
newest=$(guid tank/data@s$number) secret=$(guid tank/secret@s$number)
tried R-SEND-11 "upon another base, elsewhere" "has=tank/data@s1,guid=$A,to=$newest,from=7" "has=tank/secret@s1,guid=$S,to=$secret,from=$S"
note "$(grep -oE 'Receive.*' /var/tmp/liar/took/asked | head -n 4 || true)"
assert_eq "R-SEND-11 no step is upon that base" "" "$(grep 'Guid(7)' /var/tmp/liar/took/asked || true)"
hush
clear='what only the owner reads'
ok "control: in clear its text could be read" bash -c "zfs send -i @s$((number - 1)) tank/secret@s$number | grep -qa '$clear'"
tried R-SEND-11 "not raw" "has=tank/data@s1,guid=$A" "has=tank/secret@s1,guid=$S,to=$secret,from=$S"
ok "something goes out all the same, or its row says why not" wait_for 120 bash -c 'ls /var/tmp/liar/took/tank_secret@* || zamctl status --json | jq -e ".copies[] | select(.host == \"liar\" and .dataset == \"tank/secret\" and .state != \"running\")"'
assert_eq "R-SEND-11 nothing of it is in clear" "" "$(grep -la "$clear" /var/tmp/liar/took/tank_secret@* 2>/dev/null || true)"
assert_eq "R-SEND-11 each was offered raw" "" "$(grep 'Receive' /var/tmp/liar/took/asked | grep tank/secret | grep 'raw: false' || true)"
hush

section "it is another one"
command_is /usr/bin/zam-receive --client liar --root nas/zam/liar
liar_sshd other
lab_try zamctl replicate tank/data --to liar --wait
assert_match "R-SEND-13 another host key is not believed" 'ost key' "$LAB_OUTPUT"
note "$(tail -n 3 <<<"$LAB_OUTPUT")"
assert_eq "R-SEND-13 and nothing was sent" "s1" "$(snaps nas/zam/liar/tank/data | xargs)"
liar_sshd host
ok "control: with its own, and honest, it gets all" wait_for 300 zamctl replicate tank/data --to liar --wait
assert_eq "control: all that the source has" "$(guids tank/data)" "$(guids nas/zam/liar/tank/data)"

section "in the end"
assert_eq "the honest one has all" "$(guids tank/data) $(guids tank/secret)" "$(guids $honest/data) $(guids $honest/secret)"
alike "tank/data" tank/data $honest/data
ok "zamd-send has run all the time" bash -c '[ "$(systemctl show -p NRestarts --value zamd-send)" = 0 ] && systemctl is-active zamd-send'
kill "$(cat /var/tmp/liar/pid)"
