#!/usr/bin/env bash
# Figures of copies, for people: one large stream, many small steps, and looking where nothing is to be sent, beside bare
# `zfs send | zfs receive` and beside syncoid, from pool to pool of one machine. One of them is a check: looking starts no more processes
# for many datasets than for one. Times are of an emulated machine, and mean something only beside each other.
# timeout: 2400
source "${ZAM_LAB:-/root/lab}/lib.sh"

DATASETS=10 STEPS=05 MIB=64
# took CMD...: sets TOOK to the milliseconds that it takes; what goes wrong ends the scenario
took() {
    local began
    began=$(date +%s%3N)
    "$@" >/dev/null
    TOOK=$(($(date +%s%3N) - began))
}
# pass FROM TO: what follows `zfs send`, and where it goes
hand_over() { zfs send -L -e -c "${@:1:$#-1}" | zfs receive -u "${!#}"; }

make_pool tank 1G -O mountpoint=none
make_pool nas 2G -O mountpoint=none
zfs create -o mountpoint=/mnt/big tank/big
dd if=/dev/urandom of=/mnt/big/file bs=1M count=$MIB status=none
zfs create -o mountpoint=/mnt/many tank/many
seq $DATASETS | xargs -P 8 -I% zfs create tank/many/%
zfs snapshot -r tank@s00
install_zam >/dev/null
cat >/etc/zam/zam.toml <<'TOML'
[[managed-datasets]]
source = "tank"
recursive = true
adopt = ["s[0-9]*"]
replication-period = "never"
destinations = [{ pool = "nas", dataset = "zam" }]
TOML
zamctl replica-config --print nas --client here >/etc/zam/zam.d/nas.toml
as_root grant --print --replica
as_root grant --print
systemctl enable --now zamd-recv zamd-send
ok "what is above is there" zamctl replicate tank --wait

section "one stream of $MIB MiB"
took hand_over tank/big@s00 nas/hand-big && bare=$TOOK
took zamctl replicate tank/big --wait && zam=$TOOK
took hand_over tank/big@s00 nas/hand-big2 && again=$TOOK
took syncoid --no-sync-snap --quiet tank/big nas/sync-big && sync=$TOOK
for copy in hand-big zam/tank/big sync-big; do
    assert_eq "$copy has it" "$(guids tank/big)" "$(guids nas/$copy)"
done
bare=$(((bare + again) / 2))
large="$bare ms by hand, $zam ms by zam ($((zam * 100 / bare)) %), $sync ms by syncoid"

section "$STEPS steps of each of $DATASETS datasets"
ok "the first of each" zamctl replicate tank/many -r --wait
zfs send -R tank/many@s00 | zfs receive -u nas/hand
syncoid --no-sync-snap --quiet -r tank/many nas/sync
for step in $(seq -w 01 $STEPS); do
    for dataset in $(seq $DATASETS); do echo "$step" >"/mnt/many/$dataset/file"; done
    zfs snapshot -r "tank/many@s$step"
done
by_hand() { for dataset in $(seq $DATASETS); do hand_over -I @s00 "tank/many/$dataset@s$STEPS" "nas/hand/$dataset"; done; }
took by_hand && bare=$TOOK
took zamctl replicate tank/many -r --wait && zam=$TOOK
took syncoid --no-sync-snap --quiet -r tank/many nas/sync && sync=$TOOK
for dataset in 1 $DATASETS; do
    for copy in hand zam/tank/many sync; do
        assert_eq "$copy/$dataset has them" "$(guids "tank/many/$dataset")" "$(guids "nas/$copy/$dataset")"
    done
done
all=$((DATASETS * 10#$STEPS))
small="$((bare / all)) ms a step by hand (\`-I\`), $((zam / all)) ms by zam, $((sync / all)) ms by syncoid"

section "nothing to send, $DATASETS datasets"
took zamctl replicate tank/many -r --wait && zam=$TOOK
took syncoid --no-sync-snap --quiet -r tank/many nas/sync && sync=$TOOK
idle="$zam ms by zam, $sync ms by syncoid"
# execs WORDS...: how many programs both daemons and their workers start meanwhile
execs() {
    local trace pids
    trace=$(mktemp)
    pids=$(for role in send recv; do
        main=$(systemctl show -p MainPID --value zamd-$role)
        echo "$main" && pgrep -P "$main"
    done)
    # shellcheck disable=SC2086 # words
    watch_execs "$trace" $pids
    zamctl replicate "$@" --wait >/dev/null
    unwatch_execs
    grep -c ' = 0$' "$trace" || true
    rm -f "$trace"
}
one=$(execs tank/many/1)
many=$(execs tank/many -r)
note "programs started: $one for one dataset, $many for $DATASETS"
ok "looking at many starts no more than looking at one" test "$many" -le $((one + 1))
ok "control: it starts some" test "$one" -gt 0

section "the table"
note "one stream of $MIB MiB: $large"
note "$STEPS small steps of each of $DATASETS datasets: $small"
note "nothing to send, $DATASETS datasets: $idle"
