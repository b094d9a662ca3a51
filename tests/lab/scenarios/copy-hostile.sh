#!/usr/bin/env bash
# A stolen key: what whoever has it gets from the replica, over the real sshd, with a client that says what it likes. A second
# client goes on all the time.
# shellcheck disable=SC2016 # what others run is expanded there
source "${ZAM_LAB:-/root/lab}/lib.sh"

# Where everybody can run it.
install -m 755 "$ZAM_LAB/bin/stranger" /usr/local/bin/

make_pool tank 512M -O mountpoint=none -O compression=off
make_pool nas 512M -O mountpoint=none
zfs create -o mountpoint=/mnt/data tank/data
dd if=/dev/urandom of=/mnt/data/file bs=1M count=4 status=none
zfs snapshot tank/data@a
dd if=/dev/urandom of=/mnt/data/file2 bs=1M count=1 status=none
zfs snapshot tank/data@b
dd if=/dev/urandom of=/mnt/data/file3 bs=1M count=1 status=none
zfs snapshot tank/data@c
zfs create -s -V 16M tank/vol && zfs snapshot tank/vol@a
copies_up <<'TOML'
[[managed-datasets]]
source = "tank/data"
recursive = true
replication-period = "never"
prune-period = "never"
windows = [{ max-age = "1h", period = "10m" }]
destinations = [{ remote-host = "olympus" }]
TOML
# The replica's admin lets a second client in, wants to see what expires go at once, and says how much each may fill.
cat >>/etc/zam/zam.d/replica.toml <<'TOML'
prune-period = "2s"
grace = "2s"
silence = 0
[[replicas]]
client = "other"
root = "nas/zam/other"
TOML
as_root grant --print --replica
systemctl reload zamd-snap zamd-prune zamd-recv
zfs set quota=64M filesystem_limit=20 nas/zam/lab
ok "both daemons of the replica run" systemctl is-active zamd-recv zamd-snap zamd-prune

# mallory has the key of the first client, the honest one that of the second; alice is an ordinary account that takes both, as control.
make_user mallory && make_user honest
useradd --create-home --shell /bin/bash alice
install -d -m 700 -o alice -g alice /home/alice/.ssh
for user in mallory honest; do
    install -d -m 700 -o $user -g $user /var/tmp/$user
    [[ $user == mallory ]] || ssh-keygen -q -t ed25519 -N '' -f /var/tmp/$user/key
done
install -m 600 -o mallory -g mallory /var/lib/zam/send/id_ed25519 /var/tmp/mallory/key
install -m 644 /var/lib/zam/send/id_ed25519.pub /var/tmp/mallory/key.pub
chown honest: /var/tmp/honest/key
printf '%s %s\n' 'restrict,command="/usr/bin/zam-receive --client other --root nas/zam/other"' "$(cat /var/tmp/honest/key.pub)" \
    >>/etc/zam/authorized_keys
cat /var/tmp/*/key.pub >/home/alice/.ssh/authorized_keys
chown -R alice: /home/alice/.ssh

SSH=(ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=60)
thief() { as mallory timeout 120 "${SSH[@]}" -i /var/tmp/mallory/key "$@"; }
# Sessions of one user share a connection, each a channel and a zam-receive of its own: a handshake takes its time in here.
SHARED=(-o ControlMaster=auto -o ControlPersist=600)
# strange ACTION...: with the stolen key; friendly ACTION...: with the second client's.
strange() { as mallory timeout 600 stranger "$@" -- "${SSH[@]}" "${SHARED[@]}" -S /var/tmp/mallory/way-%C -i /var/tmp/mallory/key zam-ssh@127.0.0.1; }
friendly() { as honest timeout 600 stranger "$@" -- "${SSH[@]}" "${SHARED[@]}" -S /var/tmp/honest/way-%C -i /var/tmp/honest/key zam-ssh@127.0.0.1; }
strange wait >/dev/null 2>&1 & friendly wait >/dev/null 2>&1 & # the connections
waiting="$!"
ok "both keys come in" wait_for 120 bash -c 'test -S /var/tmp/mallory/way-* && test -S /var/tmp/honest/way-*'
# shellcheck disable=SC2086
kill $waiting $(jobs -p) 2>/dev/null && wait || true

# Refusals are counted: each is to leave a line in the audit trail.
ATTEMPTS=0
trail() { ATTEMPTS=$((ATTEMPTS + 1)) && refused "$@"; }
lines() { audit zam-receive zamd-recv | grep -cE "$1" || true; }
more_lines() { (($(lines "$1") >= $2)); }
LINES_BEFORE=0
# begin HEADING; told DESC: of all `trail`s since `begin`
begin() { section "$1" && ATTEMPTS=0 && LINES_BEFORE=$(lines '. failed'); }
told() { ok "R-RECV-21 $ATTEMPTS attempts left as many lines" wait_for 120 more_lines '. failed' $((LINES_BEFORE + ATTEMPTS)); }
held_ones() { zfs list -H -o name,guid,userrefs,type -t filesystem,volume,snapshot -r nas/zam/lab nas/zam/other; }
# unmoved DESC: nothing has come, gone or changed since BEFORE was set.
unmoved() { assert_eq "$1: nothing has come, gone or changed" "$BEFORE" "$(held_ones)"; }

section "an honest session, as control"
A=$(guid tank/data@a) B=$(guid tank/data@b) C=$(guid tank/data@c)
zfs send -Lec tank/data@a >/var/tmp/full && zfs send -Lec -i @a tank/data@b >/var/tmp/step && zfs send -Lec -i @b tank/data@c >/var/tmp/step2
zfs send -Lec tank/vol@a >/var/tmp/vol
chmod 644 /var/tmp/{full,step,step2,vol}
ok "control: the second client brings a snapshot" friendly hello "offer=mine@a,guid=$A" stream=/var/tmp/full end
assert_match "control: it is received" 'Received\(Done\)' "$LAB_OUTPUT"
ok "control: and the first" strange hello space "offer=data@a,guid=$A" stream=/var/tmp/full end "offer=data@b,guid=$B,from=$A" stream=/var/tmp/step end list
listing=$(sed -n 's/^Rows//p' <<<"$LAB_OUTPUT")
assert_match "control: both steps are received, in one session" 'Received\(Done\).*Received\(Done\)' "$LAB_OUTPUT"
assert_eq "with the source's identities" "$A $B" "$(zfs list -H -p -o guid -t snapshot -s createtxg nas/zam/lab/data | xargs)"
ok "and held" held nas/zam/lab/data@a zam
assert_match "R-RECV-23 the listing has what is the client's own" 'RelPath\("data"\)' "$listing"
assert_eq "R-RECV-23 and nothing of the other's" "" "$(grep -o 'mine' <<<"$listing" || true)"
BEFORE=$(held_ones)

begin "more than words"
trail "R-RECV-12 no command" thief zam-ssh@127.0.0.1 id
assert_eq "R-RECV-12 and none was run" "" "$(grep -o 'uid=[0-9]*' <<<"$LAB_OUTPUT" || true)"
trail "R-RECV-12 no shell by the name of one" thief zam-ssh@127.0.0.1 /bin/sh -i
trail "R-RECV-12 not with its own words" thief zam-ssh@127.0.0.1 '/usr/bin/zam-receive --client other --root nas/zam/other'
trail "R-RECV-12 no sftp" thief -s zam-ssh@127.0.0.1 sftp
trail "R-RECV-12 no copying to it" as mallory timeout 120 scp -O -F none "${SSH[@]:3}" -i /var/tmp/mallory/key /var/tmp/full zam-ssh@127.0.0.1:/tmp/stolen
ok "nothing was copied" not test -e /tmp/stolen
told
refused_with 'PTY allocation request failed' "R-RECV-12 no terminal" thief -tt zam-ssh@127.0.0.1
refused "R-RECV-12 no shell" thief zam-ssh@127.0.0.1
ok "control: in an ordinary account this key runs a command" thief alice@127.0.0.1 id
ok "control: has a terminal" thief -tt alice@127.0.0.1 tty
ok "control: has sftp" as mallory bash -c 'echo ls | sftp -q -b - -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -i /var/tmp/mallory/key alice@127.0.0.1'
as mallory timeout 60 stranger wait -- "${SSH[@]}" -i /var/tmp/mallory/key -A -o SetEnv='LC_ALL=C EVIL=1 LD_PRELOAD=/tmp/x ZAM_LOG=debug' zam-ssh@127.0.0.1 &
waiting=$!
ok "a session that says nothing is there" wait_for 60 pgrep -u zam-ssh -x zam-receive
environ=$(tr '\0' '\n' <"/proc/$(pgrep -u zam-ssh -x zam-receive | head -n 1)/environ")
assert_match "control: its environment is that of the key's command" 'SSH_CONNECTION=127\.0\.0\.1' "$environ"
assert_eq "R-RECV-12 nothing of the thief's is in it" "" "$(grep -E 'EVIL|LD_|ZAM_|AUTH_SOCK|DISPLAY' <<<"$environ" || true)"
kill $waiting && wait $waiting || true

section "more than a channel"
refused_with 'prohibited|refused|forward' "R-RECV-13 no way to a port" thief -W 127.0.0.1:22 zam-ssh@127.0.0.1
ok "control: in an ordinary account there is one" bash -c "$(declare -f thief as); SSH=(${SSH[*]@Q}); PATH=$PATH; "'thief -W 127.0.0.1:22 alice@127.0.0.1 | head -c 7 | grep SSH-2.0'
for what in -R\ 127.0.0.1:20022:127.0.0.1:22 -R\ /tmp/thief.sock:127.0.0.1:22; do
    # shellcheck disable=SC2086 # words
    refused_with 'forward' "R-RECV-13 no port or socket of the replica's (${what%%:*})" thief -N -o ExitOnForwardFailure=yes $what zam-ssh@127.0.0.1
done
ok "control: in an ordinary account there is one" thief -o ExitOnForwardFailure=yes -R 127.0.0.1:20022:127.0.0.1:22 alice@127.0.0.1 true
for to in 127.0.0.1:22 /run/zam/snap/control.sock /run/zam/recv/peer.sock; do
    rm -f /var/tmp/mallory/way
    as mallory timeout 60 "${SSH[@]}" -i /var/tmp/mallory/key -N -L "/var/tmp/mallory/way:$to" zam-ssh@127.0.0.1 &
    waiting=$!
    ok "a way is asked for" wait_for 60 test -S /var/tmp/mallory/way
    assert_eq "R-RECV-13 nothing comes through it from $to" "" "$(as mallory timeout 20 socat -T 5 STDIO UNIX-CONNECT:/var/tmp/mallory/way </dev/null 2>/dev/null | head -c 7 || true)"
    kill $waiting && wait $waiting || true
done
rm -f /var/tmp/mallory/way
as mallory timeout 60 "${SSH[@]}" -i /var/tmp/mallory/key -N -L /var/tmp/mallory/way:127.0.0.1:22 alice@127.0.0.1 &
waiting=$!
ok "control: of an ordinary account a way is asked for" wait_for 60 test -S /var/tmp/mallory/way
assert_eq "control: and something comes through" "SSH-2.0" "$(as mallory bash -c 'head -c 7 < <(exec timeout 60 socat -u -T 40 UNIX-CONNECT:/var/tmp/mallory/way STDOUT 2>/dev/null)')"
kill $waiting && wait $waiting || true
unmoved "R-RECV-12 R-RECV-13"

begin "names"
nth=0
for path in ../other/mine tank/../../other/mine /nas/zam/other/mine .. '' 'data\x00x' 'data\x0ax' 'data\x1b[2Jx' data@a 'data#a' data/ 'data%recv' 'data -o mountpoint=/x'; do
    case $((nth++ % 2)) in
    0) trail "R-RECV-14 to clear ${path@Q}" strange hello "clear=$path" ;;
    1) trail "R-RECV-14 a stream to ${path@Q}" strange hello "offer=$path@x,guid=$A" stream=/var/tmp/full end ;;
    esac
done
for tag in '../x' 'a@b' '-F\x00' 'x\x0ay' ''; do
    trail "R-RECV-14 a snapshot called ${tag@Q}" strange hello "offer=data@$tag,guid=$A" stream=/var/tmp/full end
done
lab_try strange hello "offer=$(printf 'x%.0s' {1..250})@x,guid=$A" stream=/var/tmp/full end
ATTEMPTS=$((ATTEMPTS + 1))
assert_match "R-RECV-14 nor one that is too long, whose session goes on" 'Refused' "$LAB_OUTPUT"
told
unmoved "R-RECV-14"
ok "what looks like flags is a name below the root" strange hello "offer=data -F@-F,guid=$A" stream=/var/tmp/full end
assert_match "R-RECV-14 and is received as such" 'Received\(Done\)' "$LAB_OUTPUT"
ok "R-RECV-14 there" held 'nas/zam/lab/data -F@-F' zam
destroy 'nas/zam/lab/data -F@-F' && wait_for 60 zfs destroy -r 'nas/zam/lab/data -F'

begin "what is no word"
trail "R-RECV-20 garbage" strange hello 'bytes=SSH-2.0-OpenSSH_9.2\x0d\x0a' wait
trail "R-RECV-20 garbage before the hello" strange 'bytes=GET / HTTP/1.1\x0d\x0a\x0d\x0a' wait
trail "R-RECV-20 a frame of four gigabytes" strange hello 'bytes=\x01\xff\xff\xff\xff' wait
trail "R-RECV-20 a chunk of four gigabytes" strange hello "offer=data@c,guid=$C,from=$B" 'bytes=\x02\xff\xff\xff\xff' wait
trail "R-RECV-20 a word that is none" strange hello 'word=\x4d' wait
trail "R-RECV-20 a length that is a lie" strange hello 'word=\x04\xfd\xff\xff\xff\xff\xff\xff\xff\xffx' wait
trail "R-RECV-20 a second hello" strange hello hello wait
trail "R-RECV-20 another version" strange hello=9 wait
trail "R-RECV-20 a stream that nobody announced" strange hello zeros=65536 wait
trail "R-RECV-20 a packed chunk that is none" strange hello "offer=data@c,guid=$C,from=$B" 'bytes=\x03\x00\x00\x00\x04abcd' wait
trail "R-RECV-20 it vanishes in the middle of a stream" strange hello "offer=data@c,guid=$C,from=$B" stream=/var/tmp/step2:300000 die
# The same line as zamctl printed, but for how long one may be silent: nobody waits five minutes here.
sed -i 's|zam-receive --client lab |zam-receive --silence 3000 --client lab |' /etc/zam/authorized_keys
as mallory "${SSH[@]}" -S '/var/tmp/mallory/way-%C' -O exit zam-ssh@127.0.0.1 || true
trail "R-RECV-20 silence" strange hello wait
trail "R-RECV-20 silence from the beginning" strange wait
trail "R-RECV-20 silence in the middle of a stream" strange hello "offer=new@a,guid=$A" stream=/var/tmp/full:100000 wait
sed -i 's|zam-receive --silence 3000 |zam-receive |' /etc/zam/authorized_keys
as mallory "${SSH[@]}" -S '/var/tmp/mallory/way-%C' -O exit zam-ssh@127.0.0.1 || true
told
clean() { strange hello clear=data clear=new clear=new2 clear=clone clear=evil clear=big >/dev/null; }
clean || true
unmoved "R-RECV-20"
ok "control: a step is received" strange hello "offer=data@c,guid=$C,from=$B" stream=/var/tmp/step2 end
assert_match "control: well" 'Received\(Done\)' "$LAB_OUTPUT"
BEFORE=$(held_ones)

begin "streams that are more than one snapshot's blocks"
zfs create -o mountpoint=/mnt/evil -o setuid=on -o exec=on -o sharenfs=off -o quota=1M tank/evil
zfs set lab:evil=yes tank/evil
zfs snapshot tank/evil@a && zfs snapshot tank/evil@b && zfs snapshot tank/evil@c
zfs create tank/evil/child && zfs snapshot tank/evil/child@c
EA=$(guid tank/evil@a) EB=$(guid tank/evil@b) EC=$(guid tank/evil@c)
zfs clone tank/data@b tank/kid && zfs snapshot tank/kid@k && K=$(guid tank/kid@k)
# what would destroy: without @b and without a child that the replica has
zfs destroy tank/evil@b
streams=(
    "send -p evil@a,guid=$EA" "zfs send -p tank/evil@a"
    "send -R evil@c,guid=$EC" "zfs send -R tank/evil@c"
    "send -R of data data@c,guid=$C" "zfs send -R tank/data@c"
    "send -I evil@c,guid=$EC,from=$EA" "zfs send -I @a tank/evil@c"
    "send -R -I data@c,guid=$C,from=$B" "zfs send -R -I @a tank/data@c"
    "send -b evil@a,guid=$EA" "zfs send -b tank/evil@a"
    "a clone clone@k,guid=$K,from=$B" "zfs send -i tank/data@b tank/kid@k"
    "a clone as a step data@k,guid=$K,from=$B" "zfs send -i tank/data@b tank/kid@k"
)
actions=()
for ((i = 0; i < ${#streams[@]}; i += 2)); do
    ${streams[i + 1]} >"/var/tmp/evil-$i"
    chmod 644 "/var/tmp/evil-$i"
    actions+=("offer=${streams[i]##* }" "stream=/var/tmp/evil-$i" end "clear=$(sed 's/@.*//' <<<"${streams[i]##* }")")
done
ok "all of them are tried" strange hello "${actions[@]}"
mapfile -t results < <(grep -E '^Received|^Refused' <<<"$LAB_OUTPUT" | grep -v Cleared)
for ((i = 0; i < ${#streams[@]}; i += 2)); do
    assert_match "R-RECV-15 ${streams[i]% *}: ${results[i / 2]:-}" 'Failed\((Stream|Diverged|Other|Busy)' "${results[i / 2]:-nothing}"
    ATTEMPTS=$((ATTEMPTS + 1))
done
told
unmoved "R-RECV-15"
assert_eq "R-RECV-15 no property has come" "" "$(zfs get -H -o name,property,value -s received all -r nas | grep -v 'snapshot_count\|filesystem_count' || true)"
ok "control: the thief's dataset as one snapshot's blocks is received" bash -c 'zfs send -Lec tank/evil@a >/var/tmp/evil.stream'
ok "control: it goes out" strange hello "offer=evil@a,guid=$EA" stream=/var/tmp/evil.stream end
assert_match "control: and arrives" 'Received\(Done\)' "$LAB_OUTPUT"
assert_eq "R-RECV-15 as all that is received it is mounted nowhere, run by nobody" "none off off on" \
    "$(zfs get -H -o value mountpoint,setuid,exec,readonly nas/zam/lab/evil | xargs)"
assert_eq "control: at the thief's it is" "/mnt/evil on on off" "$(zfs get -H -o value mountpoint,setuid,exec,readonly tank/evil | xargs)"
BEFORE=$(held_ones)

begin "streams onto what is there"
zfs create -o mountpoint=/mnt/fresh tank/fresh && zfs snapshot tank/fresh@a && F=$(guid tank/fresh@a)
zfs send tank/fresh@a >/var/tmp/fresh && chmod 644 /var/tmp/fresh
head -c 200000 /dev/urandom >/var/tmp/garbage
cp /var/tmp/full /var/tmp/flipped && printf 'x' | dd of=/var/tmp/flipped bs=1 seek=2000000 conv=notrunc status=none
cat /var/tmp/full /var/tmp/garbage >/var/tmp/behind
chmod 644 /var/tmp/{garbage,flipped,behind}
# got ID DESC REGEX ACTION...: the session goes on, the stream gets REGEX.
got() {
    local id=$1 desc=$2 regex=$3
    shift 3
    lab_try strange hello "$@"
    assert_match "$id $desc" "$regex" "$LAB_OUTPUT"
    note "$(grep -E 'Received|Refused' <<<"$LAB_OUTPUT")"
    ATTEMPTS=$((ATTEMPTS + 1))
}
got R-RECV-16 "a full stream onto what is there" 'Failed' "offer=data@a,guid=$F" stream=/var/tmp/fresh end
got R-RECV-16 "the same as another snapshot" 'Failed' "offer=data@x,guid=$F" stream=/var/tmp/fresh end
got R-RECV-16 "a step from a base that is not the newest" 'Failed' "offer=data@b2,guid=$B,from=$A" stream=/var/tmp/step end
got R-RECV-16 "a step that is there already" 'Failed' "offer=data@b,guid=$B,from=$A" stream=/var/tmp/step end
got R-RECV-16 "a volume onto a filesystem" 'Failed' "offer=data@v,guid=$(guid tank/vol@a),volume" stream=/var/tmp/vol end
unmoved "R-RECV-16"
got R-RECV-17 "another identity than announced" 'Failed\(Stream' "offer=new@a,guid=7" stream=/var/tmp/full end
got R-RECV-17 "another base" 'Failed\((Stream|Diverged)' "offer=new@a,guid=$A,from=7" stream=/var/tmp/full end
got R-RECV-17 "a filesystem for a volume" 'Failed\(Stream' "offer=new@a,guid=$A,volume" stream=/var/tmp/full end
got R-RECV-17 "plain for raw" 'Failed\(Stream' "offer=new@a,guid=$A,raw" stream=/var/tmp/full end
got R-RECV-17 "garbage" 'Failed\(Stream' "offer=new@a,guid=$A" stream=/var/tmp/garbage end
got R-RECV-17 "nothing" 'Failed' "offer=new@a,guid=$A" end
got R-RECV-17 "a resumption of nothing" 'Failed' "offer=new@a,guid=$A,resume" stream=/var/tmp/full end
got R-RECV-17 "a changed byte" 'Failed' "offer=new@a,guid=$A" stream=/var/tmp/flipped end "clear=new"
tag=$(date -u -d '-1 minute' +zam-%Y%m%dT%H%M%SZ)
got R-RECV-17 "more behind its end" 'Failed\(Stream' "offer=new2@$tag,guid=$A" stream=/var/tmp/behind end "clear=new2"
told
ok "what came before that end is what was announced, and is held soon" wait_for 120 held "nas/zam/lab/new2@$tag" zam
destroy "nas/zam/lab/new2@$tag" && wait_for 60 zfs destroy -r nas/zam/lab/new2
unmoved "R-RECV-17"

section "dates"
# In one bucket of the windows and the names' own words for when: one that has expired, one that has not.
past=$(date -u -d '-3 hours' +zam-%Y%m%dT%H%M%SZ) now=$(date -u -d '-11 minutes' +zam-%Y%m%dT%H%M%SZ) future=$(date -u -d '+30 days' +zam-%Y%m%dT%H%M%SZ) forged=$(date -u -d '-12 minutes' +zam-%Y%m%dT%H%M%SZ)
zfs create tank/dated
from='' actions=()
for tag in "$past" "$now" "$future" "$forged" zam-20010101T000000Z zam-20380101T000000Z; do
    zfs snapshot "tank/dated@$tag"
    zfs send ${from:+-i "@$from"} "tank/dated@$tag" >"/var/tmp/dated-$tag"
    actions+=("offer=dated@$tag,guid=$(guid "tank/dated@$tag")${from:+,from=$(guid "tank/dated@$from")}" "stream=/var/tmp/dated-$tag" end)
    from=$tag
done
chmod 644 /var/tmp/dated-*
ok "honest ones are received" strange hello "${actions[@]:0:6}"
# At a first look what is dated after something that came later is put aside, the honest ones too, for good.
for daemon in zamd-snap zamd-prune; do ok "$daemon has looked" goes_round $daemon nas 2; done
ok "snapshots with dates of all times are received" strange hello "${actions[@]:6}"
ok "control: what honestly expired goes" wait_for 120 gone "nas/zam/lab/dated@$past"
for tag in "$future" zam-20380101T000000Z; do ok "R-RECV-18 one from the future is put aside: $tag" held "nas/zam/lab/dated@$tag" zam-quarantine; done
sleep 15
ok "R-RECV-18 an honest one is there, whatever came after it" held "nas/zam/lab/dated@$now" zam
note "left: $(snaps nas/zam/lab/dated | xargs)"
ok "R-RECV-18 and the newest" exists "nas/zam/lab/dated@zam-20380101T000000Z"

begin "too much"
zfs create tank/tiny
# Ten thousand would take hours in here: the limit is what is tried, wherever it lies.
zfs set snapshot_limit=$(($(zfs get -H -p -o value snapshot_count nas/zam/lab) + 8)) nas/zam/lab
limit=$(zfs get -H -p -o value snapshot_limit nas/zam/lab)
from='' actions=()
for ((i = 0; i < 12; i++)); do
    zfs snapshot "tank/tiny@$i"
    zfs send ${from:+-i "@$from"} "tank/tiny@$i" >"/var/tmp/tiny-$i"
    actions+=("offer=tiny@$i,guid=$(guid "tank/tiny@$i")${from:+,from=$(guid "tank/tiny@$from")}" "stream=/var/tmp/tiny-$i" end)
    from=$i
done
chmod 644 /var/tmp/tiny-*
lab_try strange hello "${actions[@]}"
assert_match "R-RECV-19 tiny snapshots without end: some arrive" 'Received\(Done\)' "$LAB_OUTPUT"
assert_match "R-RECV-19 and no more than its limit" 'Failed\(NoSpace' "$LAB_OUTPUT"
assert_eq "R-RECV-19 which is $limit" "$limit" "$(zfs get -H -p -o value snapshot_count nas/zam/lab)"
ok "control: the second client goes on" friendly hello "offer=mine@b,guid=$B,from=$A" stream=/var/tmp/step end
assert_match "control: well" 'Received\(Done\)' "$LAB_OUTPUT"
zfs set snapshot_limit=1000 nas/zam/lab
last=$(snaps nas/zam/lab/tiny | tail -n 1)
ok "control: with a higher limit the next one arrives" strange hello "offer=tiny@$((last + 1)),guid=$(guid "tank/tiny@$((last + 1))"),from=$(guid "tank/tiny@$last")" "stream=/var/tmp/tiny-$((last + 1))" end
assert_match "control: well" 'Received\(Done\)' "$LAB_OUTPUT"

zfs create -o mountpoint=/mnt/big tank/big && dd if=/dev/urandom of=/mnt/big/file bs=1M count=80 status=none && zfs snapshot tank/big@a
zfs send -Lec tank/big@a >/var/tmp/big && chmod 644 /var/tmp/big
got R-RECV-19 "more than the quota" 'Failed\(NoSpace' "offer=big@a,guid=$(guid tank/big@a)" stream=/var/tmp/big end
ok "control: the second client, whose it is not, goes on" friendly hello "offer=mine@c,guid=$C,from=$B" stream=/var/tmp/step2 end
assert_match "control: well" 'Received\(Done\)' "$LAB_OUTPUT"
strange hello clear=big >/dev/null || true
got R-RECV-19 "filesystems without end" 'Failed\(NoSpace' "offer=1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21@a,guid=$A" stream=/var/tmp/full end
assert_eq "R-RECV-19 no more than its limit" yes "$( (($(zfs get -H -p -o value filesystem_count nas/zam/lab) <= 20)) && echo yes)"

# The thief's others have an end first.
ok "no session is there" wait_for 120 not pgrep -u zam-ssh -f 'zam-receive .*--client lab '
sessions=()
for ((i = 0; i < 20; i++)); do
    strange hello wait >"/var/tmp/session-$i" 2>&1 &
    sessions+=($!)
done
answered() { (($(grep -lE '^(Hello|Refused)' /var/tmp/session-* | wc -l) == 20)); }
ok "twenty sessions of the thief's are asked for" wait_for 300 answered
assert_eq "R-RECV-19 twelve it gets" 12 "$(grep -l '^Hello' /var/tmp/session-* | wc -l)"
assert_match "R-RECV-19 of the others it hears that it is busy" 'Busy' "$(cat /var/tmp/session-*)"
ok "R-RECV-19 the second client gets in all the same" friendly hello list
assert_match "R-RECV-19 and sees its own" 'mine' "$LAB_OUTPUT"
kill "${sessions[@]}" 2>/dev/null
wait "${sessions[@]}" 2>/dev/null || true

section "in the end"
ok "R-RECV-20 zamd-recv has run all the time" bash -c '[ "$(systemctl show -p NRestarts --value zamd-recv)" = 0 ] && systemctl is-active zamd-recv'
assert_eq "R-RECV-16 the first client's snapshots are what they were" "$A $B $C" "$(zfs list -H -p -o guid -t snapshot -s createtxg nas/zam/lab/data | xargs)"
assert_eq "the second's too" "$A $B $C" "$(zfs list -H -p -o guid -t snapshot -s createtxg nas/zam/other/mine | xargs)"
assert_eq "all of both is held" "" "$(unheld nas/zam/lab/data; unheld nas/zam/other)"
assert_eq "R-RECV-15 nothing of the replica is mounted" "" "$(grep '^nas' /proc/mounts || true)"
assert_eq "R-RECV-14 nothing is outside of the clients' roots" "" "$(zfs list -H -o name -r nas | grep -vxE 'nas|nas/zam|nas/zam/(lab|other)(/.*)?' || true)"
note "the trail of refusals, by kind:"
audit zam-receive zamd-recv | awk -F ' [|] ' '$2 == "failed" { print $1 " | " $4 }' | sed -E 's/[0-9]{6,}/N/g' | sort | uniq -c | sort -rn | sed -n '1,40s/^/     | /p'
