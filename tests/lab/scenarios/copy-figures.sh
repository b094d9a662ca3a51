#!/usr/bin/env bash
# Figures of copies, for people: one large stream, many small steps, and looking where nothing is to be sent, beside bare
# `zfs send | zfs receive` and beside syncoid, from pool to pool of one machine. That all of it arrives is checked, and that looking
# starts no more processes for many datasets than for one. Times are of an emulated machine, and mean something only beside each other.
# timeout: 2400
source "${ZAM_LAB:-/root/lab}/lib.sh"

MIB=128 DATASETS=5 STEPS=20 IDLE=30
# took CMD...: sets TOOK to the milliseconds that it takes; what goes wrong ends the scenario.
took() {
    local began
    began=$(date +%s%3N)
    "$@" >/dev/null
    TOOK=$(($(date +%s%3N) - began))
}
# hand_over WORD... TO: what follows `zfs send`, and where it goes
hand_over() { zfs send -L -e -c "${@:1:$#-1}" | zfs receive -u "${!#}"; }
# ratio A B: A as so many times B
ratio() { printf '%s.%02d' $(($1 / $2)) $(($1 * 100 / $2 % 100)); }
# have DESC FROM COPY...: the copies have what FROM has, below too.
have() {
    local desc=$1 want
    want=$(zfs list -H -p -o guid -t snapshot -r "$2" | sort)
    shift 2
    for copy; do assert_eq "$desc: $copy has it" "$want" "$(zfs list -H -p -o guid -t snapshot -r "$copy" | sort)"; done
}

make_pool tank 1G -O mountpoint=none
make_pool nas 2G -O mountpoint=none
zfs create -o mountpoint=/mnt/big tank/big
dd if=/dev/urandom of=/mnt/big/file bs=1M count=$MIB status=none
zfs create -o mountpoint=/mnt/many tank/many && zfs create tank/idle
for dataset in $(seq $DATASETS); do zfs create "tank/many/$dataset"; done
for dataset in $(seq $IDLE); do zfs create "tank/idle/$dataset"; done
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
took syncoid --no-sync-snap --quiet tank/big nas/sync-big && sync=$TOOK
took hand_over tank/big@s00 nas/hand-big2 && bare=$(((bare + TOOK) / 2))
have "the stream" tank/big nas/{hand-big,zam/tank/big,sync-big}
large="$bare | $zam ($(ratio $zam $bare)) | $sync ($(ratio $sync $bare))"

section "$STEPS steps of each of $DATASETS datasets"
ok "the first of each" zamctl replicate tank/many -r --wait
for name in hand sync; do zfs send -R tank/many@s00 | zfs receive -u nas/$name; done
for step in $(seq -w 01 $STEPS); do
    for dataset in $(seq $DATASETS); do echo "$step" >"/mnt/many/$dataset/file"; done
    zfs snapshot -r "tank/many@s$step"
done
by_hand() {
    local dataset
    for dataset in '' $(seq -f /%g $DATASETS); do hand_over -I @s00 "tank/many$dataset@s$STEPS" "nas/hand$dataset"; done
}
took by_hand && bare=$TOOK
took zamctl replicate tank/many -r --wait && zam=$TOOK
took syncoid --no-sync-snap --quiet -r tank/many nas/sync && sync=$TOOK
have "the steps" tank/many nas/{hand,zam/tank/many,sync}
small="$bare | $zam ($(ratio $zam $bare)) | $sync ($(ratio $sync $zam) times zam's)"

section "nothing to send, $IDLE datasets"
ok "the first of each" zamctl replicate tank/idle -r --wait
zfs send -R tank/idle@s00 | zfs receive -u nas/sync-idle
took zamctl replicate tank/idle -r --wait && zam=$TOOK
took syncoid --no-sync-snap --quiet -r tank/idle nas/sync-idle && sync=$TOOK
have "all was there" tank/idle nas/{zam/tank/idle,sync-idle}
idle="- | $zam | $sync ($(ratio $sync $zam) times zam's)"
echo x >/mnt/many/1/file && zfs snapshot tank/many/1@s90
ok "control: where something is sent, a process is started" test "$(execs tank/many/1)" -gt 0
one=$(execs tank/idle/1)
many=$(execs tank/idle -r)
theirs=$(count_execs syncoid --no-sync-snap --quiet tank/idle/1 nas/sync-idle/1)
note "programs started by looking: $one for one dataset, $many for $IDLE; syncoid: $theirs for one"
ok "looking at many starts no more than looking at one" test "$many" -le "$one"

section "the table, in milliseconds"
note "what | bare zfs | zam | syncoid"
note "one stream of $MIB MiB | $large"
note "$STEPS small steps of each of $((DATASETS + 1)) datasets | $small"
note "looking, nothing to send, $((IDLE + 1)) datasets | $idle"
