#!/usr/bin/env bash
# A new user's way, from the package to replicated, watched datasets, with what `zamctl setup` prints and nothing else; `zamctl doctor`
# finds all well. Then whatever it can find is provoked once, found, mended by the very command that it prints, and gone.
# bare
# timeout: 3600
source "${ZAM_LAB:-/root/lab}/lib.sh"

cd /root
# The pools are on files.
export ZPOOL_IMPORT_PATH=$LAB_POOLS
make_pool tank 512M -O mountpoint=none
make_pool usb 512M -O mountpoint=none
zfs create tank/home && zfs create tank/home/ann

# each_line FILE: runs its commands, a line each, as a person would.
each_line() {
    local line
    while IFS= read -r line <&3; do
        printf '# %s\n' "$line"
        # What has just arrived is held a moment later.
        case $line in *' doctor') wait_for 180 sh -ec "$line" ;; *) sh -ec "$line" ;; esac || return
    done 3<"$1"
}
# doctor: what it finds, as JSON. Exit code 3 says only that there is something.
doctor() { zamctl doctor --json || (($? == 3)); }
# found CHECK ABOUT: whether it is among what doctor found last.
found() { jq -e --arg check "$1" --arg about "$2" '.findings[] | select(.check == $check and .about == $about)' /root/found; }
# mending CHECK ABOUT: the commands that were printed for it.
mending() { found "$@" | jq -r '.commands[]'; }
well() { [[ $(doctor | jq -r '.findings[] | select(.level != "note") | "\(.check) \(.about): \(.text)"' | tee /dev/stderr) == '' ]]; }
# provoked CHECK ABOUT CMD...: CMD makes something that is to be found.
WRONG=()
provoked() {
    WRONG+=("$1 $2")
    shift 2
    note "provoked: $*"
    "$@"
}
# A look in here takes its time, so that there is one for many things.
all_found() { doctor >/root/found && for each in "${WRONG[@]}"; do found "${each%% *}" "${each#* }" || return; done; }
none_found() { doctor >/root/found && for each in "${WRONG[@]}"; do not found "${each%% *}" "${each#* }" || return; done; }
# mended: all that was provoked is found, and after what is printed for it, gone.
mended() {
    wait_for 60 all_found >/dev/null || true
    : >/root/mend
    for each in "${WRONG[@]}"; do
        ok "found: $each" found "${each%% *}" "${each#* }"
        mending "${each%% *}" "${each#* }" >>/root/mend || true
    done
    note "$(sed 's/^/# /' /root/mend)"
    ok "what it prints for that runs" each_line /root/mend
    wait_for 120 none_found >/dev/null || true
    for each in "${WRONG[@]}"; do ok "gone: $each" not found "${each%% *}" "${each#* }"; done
    WRONG=()
}

section "from the package"
ok "it installs" install_zam
refused "nobody is there to be asked" zamctl setup
ok "setup writes the config" zamctl setup --dataset tank/home --every 10s --keep days --to usb/copies --client lab --write
printf '%s\n' "$LAB_OUTPUT" >/root/remains
note "$LAB_OUTPUT"
refused "and not over one that is there" zamctl setup --dataset tank/home --write
assert_eq "everybody may read it" 644 "$(stat -c %a /etc/zam/zam.toml)"
lab_try doctor
assert_match "until the rest is done, doctor says so" '"grant-missing"' "$LAB_OUTPUT"
assert_match "and which daemons are off" '"zamd-snap.service"' "$LAB_OUTPUT"
ok "each line of what remains, the last of which is doctor" each_line /root/remains
note "$(tail -n 12 <<<"$LAB_OUTPUT")"
ok "a snapshot comes" wait_for 180 has_more tank/home/ann 0
ok "held" wait_for 120 all_held tank/home/ann
ok "its copy comes" wait_for 300 has_more usb/copies/tank/home/ann 0
held_copy() { [[ -n $(held_ones usb/copies/tank/home/ann) ]]; }
ok "held" wait_for 120 held_copy
ok "it is watched, and well" wait_for 300 zamctl health
note "$(zamctl health)"
ok "doctor: all is well" wait_for 120 zamctl doctor
note "$(zamctl doctor)"
ok "as anybody, who cannot look everywhere" wait_for 180 as nobody zamctl doctor
assert_match "it says where" "only root can look at it" "$(as nobody zamctl doctor)"

section "users, folders, units, doors"
provoked account zam-send gpasswd -d zam-send zam-copy
provoked account zam-prune gpasswd -a zam-prune zam-operators
provoked folder /etc/zam/credentials rmdir /etc/zam/credentials
provoked folder /etc/zam chmod 0777 /etc/zam
provoked folder /var/lib/zam/snap chown zam-prune /var/lib/zam/snap
provoked unit zamd-watch.service systemctl disable zamd-watch
provoked unit zamd-send.service systemctl stop zamd-send
provoked unit zamd-prune.service systemctl mask --now zamd-prune
manager=user@$(id -u zam-ssh).service
provoked unit "$manager" systemctl unmask "$manager"
provoked door /run/zam/snap/control.sock chmod 0666 /run/zam/snap/control.sock
provoked door /run/zam/recv/control.sock chown root:root /run/zam/recv/control.sock
provoked door /run/zam/recv/peer.sock rm /run/zam/recv/peer.sock
mended

section "the config"
provoked config-mode /etc/zam/zam.toml chmod 0666 /etc/zam/zam.toml
sleep 2
touch /etc/zam/zam.toml
for role in snap prune send recv watch; do provoked reload "zamd-$role" true; done
mended
cp -p /etc/zam/zam.toml /root/good.toml
printf '#!/bin/sh\nfor file; do :; done\ncp -p /root/good.toml "$file"\n' >/root/editor && chmod +x /root/editor
export EDITOR=/root/editor
hoem() { printf '[[managed-datasets]]\nsource = "tank/hoem"\nkeep = { hourly = 1 }\n' >>/etc/zam/zam.toml; }
provoked covers-nothing tank/hoem hoem
mended
echo nonsense >>/etc/zam/zam.toml
doctor >/root/found
ok "a config that is not good is found" found config /etc/zam/zam.toml
refused "by zamctl check, too" sh -ec "$(mending config /etc/zam/zam.toml)"
/root/editor /etc/zam/zam.toml

section "the pools"
provoked grant-missing tank/home zfs unallow -u zam-prune tank/home
provoked grant-surplus tank/home zfs allow -u zam-prune release tank/home
provoked replica-properties usb/copies zfs set setuid=on usb/copies
zfs create tank/other
stray() { zfs snapshot "$1" && zfs hold zam "$1"; }
provoked hold-without-owner tank/other stray tank/other@mine
provoked hold-without-owner tank/home stray tank/home@mine
mended
ok "what no entry covers is good to know" found uncovered tank/other
ok "and nothing to mend" wait_for 180 zamctl doctor
# zamd-snap would hold it again.
systemctl stop zamd-snap
release_old() { sleep 61 && zfs release zam "tank/home@$(snaps tank/home | grep ^zam- | head -n 1)"; }
provoked unheld tank/home release_old
all_found >/dev/null || true
mending unheld tank/home >/root/mend
ok "a hold that is missing is found" found unheld tank/home
ok "what it prints for that runs" each_line /root/mend
systemctl start zamd-snap
ok "gone: unheld" wait_for 120 none_found
WRONG=()
systemctl stop zamd-send zamd-recv
ok "the other pool is taken out" wait_for 60 zpool export usb
provoked covers-nothing usb/copies true
provoked unit zamd-recv.service true
provoked unit zamd-send.service true
clock_unsynced
doctor >/root/found
ok "a clock that nobody has set" found clock "the clock"
note "$(mending clock 'the clock'): there is no time server in here"
clock_synced
mended
ok "set" not found clock "the clock"

section "ssh, to this machine itself"
echo 127.0.0.1 olympus >>/etc/hosts
zfs create tank/srv
other() {
    cat >/etc/zam/zam.d/srv.toml <<'TOML'
[[managed-datasets]]
source = "tank/srv"
snapshot-period = "10s"
keep = { minutely = 60 }
destinations = [{ remote-host = "olympus" }]
TOML
}
provoked ssh-key /var/lib/zam/send/id_ed25519 other
provoked grant-missing tank/srv true
mended
ok "setup lets a client in, in a file of its own" \
    zamctl setup --replica --client far --root usb/far --key /var/lib/zam/send/id_ed25519.pub --every 10s --keep days --write
printf '%s\n' "$LAB_OUTPUT" >/root/remains
cp /var/lib/zam/send/id_ed25519.pub far.pub
provoked ssh-client far true
provoked covers-nothing usb/far true
mended
ok "each line of what remains" each_line /root/remains
note "$(tail -n 12 <<<"$LAB_OUTPUT")"
ok "its copy comes" wait_for 300 has_more usb/far/tank/srv 0
provoked ssh-host-key olympus rm /var/lib/zam/send/known_hosts
provoked ssh-config olympus rm /etc/zam/ssh_config
provoked ssh-key /var/lib/zam/send/id_ed25519 chmod 0644 /var/lib/zam/send/id_ed25519
provoked ssh-authorized-keys /etc/zam/authorized_keys chmod 0666 /etc/zam/authorized_keys
intruder() { cat far.pub >>/etc/zam/authorized_keys; }
provoked ssh-authorized-keys /etc/zam/authorized_keys:2 intruder
provoked sshd /etc/ssh/sshd_config.d/zam.conf rm /etc/ssh/sshd_config.d/zam.conf
mended
provoked ssh-key /var/lib/zam/send/id_ed25519 chown root /var/lib/zam/send/id_ed25519
provoked ssh-client far truncate -s 0 /etc/zam/authorized_keys
unread() { sed -i '/^Include/d' /etc/ssh/sshd_config; }
provoked sshd /etc/ssh/sshd_config unread
mended
before=$(snaps usb/far/tank/srv | wc -l)
ok "copies go on" wait_for 300 has_more usb/far/tank/srv "$before"

section "in the end"
ok "all is well again" wait_for 300 well
ok "with exit code 0" wait_for 180 zamctl doctor
note "$(zamctl doctor)"
