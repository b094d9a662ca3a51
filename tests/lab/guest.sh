#!/usr/bin/env bash
# A lab guest: a Debian machine with real OpenZFS, in QEMU.
#
# Sourced, it gives the functions below; run, it gives them as commands:
#
#   guest.sh up SUITE             copy the cached machine, wake it where `image.sh` left it
#   guest.sh ssh CMD...           run a command as root (words are joined by a blank, as ssh does)
#   guest.sh push FILE... DEST    copy into the guest
#   guest.sh pull SRC DEST        copy out of it
#   guest.sh reset [STATE]        back to the state right after `up` (or to one that `save` left), disk and memory;
#                                 also after `kill`
#   guest.sh save STATE           save disk and memory under a name
#   guest.sh kill                 power cut: QEMU dies by SIGKILL
#   guest.sh boot                 cold boot of the same disk, after `kill`
#   guest.sh link                 connect it to the instance of the same name with `-peer` behind it
#   guest.sh unplug, plug         pull the cable out of it, put it in again
#   guest.sh down                 end it and remove its folder
#   guest.sh status               what runs
#
# ZAM_LAB_INSTANCE names the instance (default: the suite for `up`, else the only one that there is), so that several
# guests run at once. Each instance has a folder of its own under ${TMPDIR:-/tmp}.

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
fi

LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # image.sh uses it
LAB_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/zam-lab
LAB_RUN=${TMPDIR:-/tmp}/zam-lab-$UID
# sockets live there, and their paths must be short
((${#LAB_RUN} <= 50)) || LAB_RUN=/tmp/zam-lab-$UID

lab_say() { printf 'lab: %s\n' "$*" >&2; }
lab_die() { lab_say "$*"; return 1; }

# The machine. Its text is part of the key under which a saved machine state is cached.
# lab_qemu_args DISK RAMSIZE: the words after the program's name that decide what the guest sees.
lab_qemu_args() {
    local base=$1 disk=$2 port=$3
    # shellcheck disable=SC2054 # the commas are QEMU's
    LAB_QEMU_ARGS=(
        # A stock kernel hangs under some nested KVMs, so this is emulation, everywhere the same. One CPU: a second one
        # costs more than it gives as soon as the host has other things to do.
        -machine pc -accel "tcg,thread=multi" -cpu Westmere -smp 1 -m 2048
        -nodefaults -no-user-config -display none -no-reboot
        -kernel "$base/vmlinuz" -initrd "$base/initrd.img"
        -append "root=/dev/vda rw console=ttyS0 quiet mitigations=off net.ifnames=0 panic=-1 audit=0"
        -drive "file=$disk,format=qcow2,if=none,id=root,cache=writeback,discard=unmap"
        -device virtio-blk-pci,drive=root
        -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22"
        -device virtio-net-pci,netdev=net,romfile=
        # A cable to the instance of the same name with `-peer` behind it, which need not be there; see guest_link.
        -netdev "dgram,id=peer,local.type=unix,local.path=$LAB_I/net,remote.type=unix,remote.path=$(lab_peer)/net"
        -device virtio-net-pci,netdev=peer,romfile=
        -device virtio-rng-pci
        -rtc base=utc
    )
}

# lab_peer: the folder of the instance at the other end of the cable.
lab_peer() { if [[ $LAB_I == *-peer ]]; then echo "${LAB_I%-peer}"; else echo "$LAB_I-peer"; fi; }

# --- which instance ---------------------------------------------------------------------------------------------------

# lab_instance [DEFAULT]: sets LAB_I, the instance's folder.
lab_instance() {
    local name=${ZAM_LAB_INSTANCE:-${1:-}} found
    if [[ -z $name ]]; then
        found=("$LAB_RUN"/*/)
        [[ ${#found[@]} -eq 1 && -d ${found[0]} ]] || {
            lab_die "which guest? set ZAM_LAB_INSTANCE to one of: $(guest_status | cut -d ' ' -f 1 | tr '\n' ' ')"
            return
        }
        name=$(basename "${found[0]}")
    fi
    [[ $name =~ ^[A-Za-z0-9._-]+$ ]] || { lab_die "not a good instance name: $name"; return; }
    LAB_I=$LAB_RUN/$name
}

lab_alive() {
    local pid
    pid=$(cat "$LAB_I/pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null &&
        [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) == *"$LAB_I/"* ]]
}

# lab_new BASE SUITE: an empty folder for the instance.
lab_new() {
    # shellcheck disable=SC2174
    mkdir -p -m 700 "$LAB_RUN"
    [[ -O $LAB_RUN && ! -L $LAB_RUN ]] || { lab_die "$LAB_RUN is not ours"; return; }
    rm -rf "$LAB_I"
    mkdir -m 700 "$LAB_I" || return
    echo "$1" >"$LAB_I/base"
    echo "$2" >"$LAB_I/suite"
    install -m 600 "$1/key" "$LAB_I/key"
}

# --- QEMU -------------------------------------------------------------------------------------------------------------

# lab_start [ARG...]: starts QEMU on the instance's disk; tries other ports while the chosen one is taken.
lab_start() {
    local port try base
    base=$(cat "$LAB_I/base")
    for try in 1 2 3 4 5 6 7 8; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 40000))
        lab_qemu_args "$base" "$LAB_I/disk.qcow2" "$port"
        rm -f "$LAB_I/qmp" "$LAB_I/pid"
        # fd 9: while QEMU lives it holds a shared lock on the image, so that nobody removes that as out of date.
        if (
            exec 9>"$base/in-use"
            flock -s 9
            exec qemu-system-x86_64 "${LAB_QEMU_ARGS[@]}" \
                -name "zam-lab-${LAB_I##*/}" -serial "file:$LAB_I/console.log" \
                -qmp "unix:$LAB_I/qmp,server=on,wait=off" -daemonize -pidfile "$LAB_I/pid" "$@"
        ) </dev/null >"$LAB_I/qemu.log" 2>&1; then
            echo "$port" >"$LAB_I/port"
            return 0
        fi
        grep -q 'host forwarding' "$LAB_I/qemu.log" || break
        lab_say "port $port is taken (try $try)"
    done
    lab_die "QEMU did not start: $(cat "$LAB_I/qemu.log")"
}

# lab_monitor LINE: one line to QEMU's monitor, waits until it is done; what the monitor says goes to stdout.
lab_monitor() {
    local reply fd_in fd_out pid said=1
    coproc LAB_QMP { exec socat -t 600 STDIO "UNIX-CONNECT:$LAB_I/qmp" 2>/dev/null; }
    # LAB_QMP is unset as soon as socat ends
    pid=$LAB_QMP_PID fd_out=${LAB_QMP[0]} fd_in=${LAB_QMP[1]}
    printf '{"execute":"qmp_capabilities"}\n' >&"$fd_in"
    while IFS= read -r -t 30 reply <&"$fd_out"; do [[ $reply == *'"return"'* ]] && break; done
    printf '{"execute":"human-monitor-command","arguments":{"command-line":"%s"}}\n' "$1" >&"$fd_in"
    while IFS= read -r -t 600 reply <&"$fd_out"; do
        if [[ $reply == *'"return":'* ]]; then
            reply=${reply#*\"return\": \"}
            reply=${reply%\"\}*}
            reply=${reply//'\r\n'/$'\n'}
            [[ -z $reply ]] || printf '%s\n' "$reply"
            # the monitor reports a failure only as text
            [[ $reply == *Error* || $reply == *'does not'* ]] || said=0
            break
        fi
        [[ $reply == *'"error":'* ]] && { lab_say "monitor: $reply"; break; }
    done
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    return $said
}

# --- ssh --------------------------------------------------------------------------------------------------------------

lab_ssh_opts() {
    LAB_SSH=(-F none -i "$LAB_I/key" -o "ControlPath=$LAB_I/ssh" -o BatchMode=yes -o LogLevel=ERROR
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null
        -o ConnectTimeout=180 -o Compression=no -o ServerAliveInterval=30 -o ServerAliveCountMax=20
        -o GSSAPIAuthentication=no -o KexAlgorithms=curve25519-sha256 -o Ciphers=chacha20-poly1305@openssh.com)
    LAB_PORT=$(cat "$LAB_I/port")
}

lab_disconnect() {
    [[ -f $LAB_I/port ]] || return 0
    lab_ssh_opts
    ssh "${LAB_SSH[@]}" -p "$LAB_PORT" -O exit root@127.0.0.1 2>/dev/null || true
    rm -f "$LAB_I/ssh"
}

# lab_connect SECONDS: opens the master connection, waiting for the guest's sshd.
lab_connect() {
    local until=$((SECONDS + $1))
    lab_ssh_opts
    while ((SECONDS < until)); do
        lab_alive || { lab_die "QEMU is gone: $(tail -3 "$LAB_I/qemu.log")"; return; }
        if timeout 180 ssh "${LAB_SSH[@]}" -p "$LAB_PORT" -o ControlMaster=yes -o ControlPersist=yes \
            root@127.0.0.1 true </dev/null >/dev/null 2>&1; then
            return 0
        fi
        rm -f "$LAB_I/ssh"
        sleep 0.3
    done
    lab_die "no ssh into the guest within $1 s; its console ends with:
$(tail -c 2000 "$LAB_I/console.log")"
}

guest_ssh() {
    lab_instance && lab_ssh_opts || return
    ssh "${LAB_SSH[@]}" -p "$LAB_PORT" -o ControlMaster=no root@127.0.0.1 "$@"
}

guest_push() {
    lab_instance && lab_ssh_opts || return
    scp "${LAB_SSH[@]}" -P "$LAB_PORT" -q -r "${@:1:$#-1}" "root@127.0.0.1:${!#}"
}

guest_pull() {
    lab_instance && lab_ssh_opts || return
    scp "${LAB_SSH[@]}" -P "$LAB_PORT" -q -r "root@127.0.0.1:$1" "$2"
}

# The clock of a machine that was woken stands where it was saved. This comes before anything of zam runs.
lab_set_clock() {
    guest_ssh "date -s @$(date +%s.%N) >/dev/null"
}

# --- life -------------------------------------------------------------------------------------------------------------

guest_up() {
    local suite=$1 image base saved
    lab_instance "$suite" || return
    if lab_alive; then
        lab_die "instance $(basename "$LAB_I") is up already; \`guest.sh down\`, or set ZAM_LAB_INSTANCE to another name"
        return
    fi
    image=$("$LAB_DIR/image.sh" "$suite") || return
    base=${image%/*} saved=${image##*/}
    lab_new "$base" "$suite" || return
    export ZAM_LAB_INSTANCE=${LAB_I##*/}
    # The overlay carries the saved machine; what it stands on stays in the cache, read only.
    cp --reflink=auto --sparse=always "$base/$saved" "$LAB_I/disk.qcow2" || return
    lab_start -loadvm booted && lab_connect 300 && lab_set_clock
}

guest_reset() {
    lab_instance || return
    if lab_alive; then
        lab_disconnect
        lab_monitor "loadvm ${1:-booted}" || return
    else
        lab_start -loadvm "${1:-booted}" || return
    fi
    lab_connect 300 && lab_set_clock
}

guest_save() {
    lab_instance || return
    lab_alive || { lab_die "the guest is not running"; return; }
    # A connection must not be part of the state.
    lab_disconnect
    sleep 1
    lab_monitor "savevm $1" && lab_connect 300
}

guest_kill() {
    local pid
    lab_instance || return
    lab_alive || { lab_die "the guest is not running"; return; }
    pid=$(cat "$LAB_I/pid")
    kill -KILL "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    rm -f "$LAB_I/pid"
    lab_disconnect
}

# guest_link: plugs the guest into the cable: 10.77.0.1, and 10.77.0.2 for one whose name ends in `-peer`. To be repeated after
# `reset` and `boot`. Two machines that were woken from one state would have one address otherwise.
guest_link() {
    local n=1
    lab_instance || return
    [[ $LAB_I != *-peer ]] || n=2
    guest_ssh "ip link set eth1 down && ip link set eth1 address 02:00:00:00:77:0$n up && ip addr replace 10.77.0.$n/24 dev eth1"
}

# guest_unplug, guest_plug: the cable. What the guest has set up stays; nothing comes through.
guest_unplug() { lab_instance && lab_monitor "set_link peer off"; }
guest_plug() { lab_instance && lab_monitor "set_link peer on"; }

# guest_peer FUNCTION ARG...: one of these functions, for the guest at the other end.
guest_peer() (
    lab_instance || return
    ZAM_LAB_INSTANCE=$(basename "$(lab_peer)")
    export ZAM_LAB_INSTANCE
    "$@"
)

# guest_boot: returns when systemd says that the machine is up.
guest_boot() {
    lab_instance || return
    if lab_alive; then lab_die "the guest is running; \`kill\` it first"; return; fi
    rm -f "$LAB_I/ssh"
    lab_start && lab_connect 900 && lab_booted
}

lab_booted() {
    local state
    state=$(guest_ssh 'systemctl is-system-running --wait') || true
    [[ $state == running ]] || {
        guest_ssh 'systemctl --failed --no-legend; systemctl list-jobs --no-legend' >&2
        lab_die "the guest booted as: $state"
    }
}

guest_down() {
    lab_instance || return
    if lab_alive; then guest_kill; fi
    rm -rf "$LAB_I"
}

guest_status() {
    local i
    for i in "$LAB_RUN"/*/; do
        [[ -d $i ]] || continue
        LAB_I=${i%/}
        printf '%-24s %-10s %s\n' "$(basename "$LAB_I")" "$(cat "$LAB_I/suite" 2>/dev/null)" \
            "$(lab_alive && echo "up, port $(cat "$LAB_I/port")" || echo down)"
    done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    verb=${1:-}
    case $verb in
    up | ssh | push | pull | reset | save | kill | boot | link | unplug | plug | down | status) shift && "guest_$verb" "$@" ;;
    *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
fi
