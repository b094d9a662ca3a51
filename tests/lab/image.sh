#!/usr/bin/env bash
# image.sh SUITE: builds, once, a Debian machine with real OpenZFS and saves it right after boot.
#
# Says on stdout where the saved machine is: DIR/booted-HASH.qcow2, an overlay on DIR/disk.raw with a machine state
# named `booted` in it. Everything else goes to stderr. A second run with the same recipe is quick.
# SUITE: trixie (OpenZFS 2.3) or bookworm (OpenZFS 2.1). Needs root (for the tree of the guest) and Debian's apt.
set -euo pipefail

# shellcheck source=tests/lab/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

SUITE=${1:-}
case $SUITE in trixie | bookworm) ;; *) echo "usage: image.sh trixie|bookworm" >&2; exit 2 ;; esac

# --- the recipe: its text is the cache's key --------------------------------------------------------------------------

DISK_SIZE=10G
PACKAGES=(
    linux-image-cloud-amd64 linux-headers-cloud-amd64 zfs-dkms zfsutils-linux
    systemd-sysv udev dbus openssh-server initramfs-tools kmod zstd tzdata iproute2 passwd adduser
    # for scenarios
    sudo util-linux procps psmisc strace socat jq less file e2fsprogs sanoid
)

# recipe_configure TREE: everything between the packages and the disk.
recipe_configure() {
    local tree=$1 kernel unit
    kernel=$(basename "$(echo "$tree"/boot/vmlinuz-*)")
    kernel=${kernel#vmlinuz-}

    # dkms, called by the packages, has built the module; without it there is no lab.
    if ! ls "$tree/lib/modules/$kernel"/updates/dkms/zfs.ko* >/dev/null 2>&1; then
        chroot "$tree" dkms autoinstall -k "$kernel"
        ls "$tree/lib/modules/$kernel"/updates/dkms/zfs.ko*
    fi
    # unpacked once, here, and not at each boot
    find "$tree/lib/modules/$kernel/updates/dkms" -name '*.ko.xz' -exec unxz {} +
    chroot "$tree" depmod "$kernel"
    printf 'blacklist %s\n' ata_piix ata_generic i2c_piix4 psmouse pcspkr >"$tree/etc/modprobe.d/lab.conf"

    echo zamlab >"$tree/etc/hostname"
    printf '127.0.0.1 localhost zamlab\n' >"$tree/etc/hosts"
    printf '/dev/vda / ext4 defaults,noatime 0 1\n' >"$tree/etc/fstab"
    printf '5ec0ffee5ec0ffee5ec0ffee5ec0ffee\n' >"$tree/etc/machine-id"
    printf 'LANG=C.UTF-8\n' >"$tree/etc/default/locale"
    rm -f "$tree/etc/hostid"
    chroot "$tree" zgenhostid 5ec0ffee

    install -d "$tree/etc/systemd/network" "$tree/etc/systemd/journald.conf.d" "$tree/var/log/journal"
    printf '[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
        >"$tree/etc/systemd/network/lab.network"
    # every audit line is wanted
    printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\nRateLimitIntervalSec=0\nRateLimitBurst=0\n' \
        >"$tree/etc/systemd/journald.conf.d/lab.conf"

    # emulated, on a busy host, a boot may take its time
    for unit in systemd-modules-load systemd-udev-settle systemd-udev-trigger; do
        install -d "$tree/etc/systemd/system/$unit.service.d"
        printf '[Service]\nTimeoutSec=900\n' >"$tree/etc/systemd/system/$unit.service.d/lab.conf"
    done
    printf 'ExecStart=\nExecStart=udevadm settle --timeout=800\n' \
        >>"$tree/etc/systemd/system/systemd-udev-settle.service.d/lab.conf"
    install -d "$tree/etc/systemd/system.conf.d"
    printf '[Manager]\nDefaultTimeoutStartSec=900\nDefaultTimeoutStopSec=300\nDefaultDeviceTimeoutSec=900\n' \
        >"$tree/etc/systemd/system.conf.d/lab.conf"

    install -d -m 700 "$tree/root/.ssh"
    install -m 600 key.pub "$tree/root/.ssh/authorized_keys"
    printf 'PermitRootLogin prohibit-password\nUseDNS no\nMaxSessions 200\nMaxStartups 200\nPrintMotd no\n' \
        >"$tree/etc/ssh/sshd_config.d/lab.conf"
    # a host that connects again after each reset looks like an attacker to newer ones
    if chroot "$tree" sshd -T -o PerSourcePenalties=no >/dev/null 2>&1; then
        echo 'PerSourcePenalties no' >>"$tree/etc/ssh/sshd_config.d/lab.conf"
    fi

    echo zfs >"$tree/etc/modules-load.d/zfs.conf"
    echo 'options zfs zfs_arc_max=268435456 zfs_arc_min=33554432' >"$tree/etc/modprobe.d/zfs.conf"

    # it fails where there is no vsock
    install -d "$tree/etc/systemd/system-generators"
    ln -sf /dev/null "$tree/etc/systemd/system-generators/systemd-ssh-generator"

    # There is no time server in here; the host sets the clock. This is what timesyncd would leave.
    printf 'd /run/systemd/timesync 0755 root root -\nf /run/systemd/timesync/synchronized 0644 root root -\n' \
        >"$tree/etc/tmpfiles.d/zam-lab.conf"

    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        fstrim.timer logrotate.timer man-db.timer sanoid.timer sanoid.service sanoid-prune.service \
        systemd-networkd-wait-online.service systemd-timesyncd.service systemd-pstore.service \
        getty@tty1.service serial-getty@ttyS0.service getty-static.service ssh.socket sshd-unix-local.socket \
        sshd-vsock.socket dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
        modprobe@drm.service zfs-share.service zfs-volume-wait.service rsync.service; do
        chroot "$tree" systemctl mask "$unit" >/dev/null 2>&1 || true
    done
    chroot "$tree" systemctl enable systemd-networkd.service ssh.service zfs-import-cache.service zfs-mount.service \
        zfs-import.target zfs.target >/dev/null 2>&1

    # a small initrd: it only has to find the disk
    sed -i 's/^MODULES=.*/MODULES=list/' "$tree/etc/initramfs-tools/initramfs.conf"
    printf 'virtio_pci\nvirtio_blk\next4\ncrc32c_generic\ncrc32c-intel\n' >"$tree/etc/initramfs-tools/modules"
    chroot "$tree" update-initramfs -u -k "$kernel"

    cp "$tree/boot/vmlinuz-$kernel" vmlinuz
    cp "$tree/boot/initrd.img-$kernel" initrd.img
    # shellcheck disable=SC2016
    chroot "$tree" dpkg-query -W -f '${Package} ${Version}\n' >packages.txt
    rm -rf "$tree/var/cache/apt/archives" "$tree"/var/lib/apt/lists/* "$tree/var/lib/dkms/zfs"/*/build
    install -d "$tree/var/cache/apt/archives/partial" "$tree/root/lab"
}

# recipe_build: in the current folder: key, vmlinuz, initrd.img, disk.raw.
recipe_build() {
    local include
    include=$(IFS=,; echo "${PACKAGES[*]}")
    ssh-keygen -q -t ed25519 -N '' -C zam-lab -f key
    # in a mount namespace of its own: what it mounts in the tree goes with it, however it ends
    unshare --mount mmdebstrap --verbose --mode=root --variant=apt --components=main,contrib --include="$include" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' --aptopt='Acquire::Check-Date "false"' \
        --dpkgopt=force-unsafe-io "$SUITE" tree
    recipe_configure tree
    mke2fs -q -t ext4 -L zamlab -m 1 -d tree disk.raw "$DISK_SIZE"
    rm -rf tree
}

# --- the host ---------------------------------------------------------------------------------------------------------

try() {
    local n
    for n in 1 2 3 4; do
        "$@" && return
        [[ $n == 4 ]] || sleep $((n * 5))
    done
    lab_die "failed four times: $*"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove -o Dpkg::Use-Pty=0 "$@" >&2
}

# apt_add_backports: a suite beside the ones that this machine has, from the host that they come from.
apt_add_backports() {
    local codename uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016
    uri=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $codename" "Created-By: Packages" "Component: main" |
        sort -u | head -n 1)
    [[ -n $uri ]] || { lab_die "no apt source of this machine is for $codename"; return; }
    [[ -f $keyring ]] && keyring="[signed-by=$keyring] " || keyring=
    printf 'deb %s%s %s-backports main\n' "$keyring" "$uri" "$codename" \
        >/etc/apt/sources.list.d/zam-lab-backports.list
    try apt-get update -q >&2
    echo "$codename-backports"
}

missing_packages() {
    local tool
    declare -A from=([mmdebstrap]=mmdebstrap [qemu-system-x86_64]=qemu-system-x86 [qemu-img]=qemu-utils
        [mke2fs]=e2fsprogs [ssh]=openssh-client [socat]=socat [flock]=util-linux)
    for tool in "${!from[@]}"; do
        command -v "$tool" >/dev/null || printf '%s\n' "${from[$tool]}"
    done
}

host_packages() {
    local suite missing
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]})) || return 0
    lab_say "installing on this machine: ${missing[*]}"
    command -v apt-get >/dev/null || { lab_die "no apt-get here: install ${missing[*]} by hand"; return; }
    try apt-get update -q >&2
    # Nothing may be removed for it: where a newer qemu-utils came from backports, its sister must as well.
    if apt-get install -s -q --no-install-recommends --no-remove "${missing[@]}" >/dev/null 2>&1; then
        try apt_install "${missing[@]}"
    else
        suite=$(apt_add_backports)
        try apt_install -t "$suite" "${missing[@]}"
    fi
}

# --- build, boot, save ------------------------------------------------------------------------------------------------

digest() { sha256sum | cut -c1-12; }

cleanup() {
    local status=$?
    if [[ -n ${BUILD:-} ]]; then
        if lab_booting; then kill -KILL "$(cat "$LAB_I/pid")" 2>/dev/null || true; fi
        [[ -z ${LAB_I:-} ]] || rm -rf "$LAB_I"
        rm -rf --one-file-system "$BUILD"
    fi
    exit $status
}
lab_booting() { [[ -n ${LAB_I:-} && -f $LAB_I/pid ]] && lab_alive; }

# save_booted BASE NAME: boots BASE/disk.raw once and leaves BASE/NAME, an overlay with the state `booted`.
save_booted() {
    local base=$1 name=$2
    export ZAM_LAB_INSTANCE=image-$SUITE-$$
    lab_instance
    lab_new "$base" "$SUITE"
    qemu-img create -q -f qcow2 -F raw -b "$base/disk.raw" "$LAB_I/disk.qcow2"
    lab_start
    lab_connect 900
    lab_booted
    lab_set_clock
    # What each scenario would pay for again is done once: the module, the programs, a pool's life.
    guest_ssh 'set -e
        zfs version >&2
        truncate -s 128M /root/warm && zpool create -O mountpoint=none warm /root/warm
        zfs create warm/a && zfs snapshot warm/a@a && zfs list -t all -o name,guid,createtxg >/dev/null
        zpool destroy warm && rm -f /root/warm
        systemctl daemon-reload; journalctl -n 1 >/dev/null; jq -n 1 >/dev/null; strace -V >/dev/null
        test -e /run/systemd/timesync/synchronized
        sync; fstrim / || true'
    lab_disconnect
    sleep 2
    lab_monitor "savevm booted"
    lab_monitor "quit" >/dev/null || true
    while lab_alive; do sleep 0.1; done
    mv "$LAB_I/console.log" "$base/console.log"
    cp --sparse=always "$LAB_I/disk.qcow2" "$BUILD/$name"
    rm -rf "$LAB_I"
}

[[ $EUID == 0 ]] || { lab_say "image.sh needs root"; exit 1; }
mkdir -p "$LAB_CACHE"

recipe=$({ echo "$SUITE $DISK_SIZE ${PACKAGES[*]}"; declare -f recipe_configure recipe_build; } | digest)
base=$LAB_CACHE/$SUITE-$recipe

machine() { { declare -f lab_qemu_args save_booted; qemu-system-x86_64 --version; } | digest; }

# What is there needs no lock: one build must not keep other guests waiting.
if ! missing_packages | grep -q . && saved=booted-$(machine).qcow2 && [[ -f $base/$saved ]]; then
    echo "$base/$saved"
    exit
fi

# One build at a time for a suite; who waited finds it done.
exec 8>"$LAB_CACHE/$SUITE.lock"
flock 8
host_packages
saved=booted-$(machine).qcow2

if [[ ! -f $base/$saved ]]; then
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    BUILD=$(mktemp -d "$LAB_CACHE/.build-$SUITE-XXXXXX")
    chmod 755 "$BUILD"
    if [[ ! -f $base/disk.raw ]]; then
        lab_say "building the $SUITE machine (some minutes); log: $LAB_CACHE/$SUITE.log"
        (mkdir "$BUILD/image" && cd "$BUILD/image" && set -x && recipe_build) >"$LAB_CACHE/$SUITE.log" 2>&1 8>&- || {
            tail -30 "$LAB_CACHE/$SUITE.log" >&2
            lab_die "the build of the $SUITE machine failed"
        }
        mv -T "$BUILD/image" "$base"
        lab_say "built in $SECONDS s"
    fi
    lab_say "booting the $SUITE machine once"
    save_booted "$base" "$saved" 8>&-
    rm -f "$base"/booted-*.qcow2
    mv "$BUILD/$saved" "$base/$saved"
    rm -rf "$BUILD"
    BUILD=
    lab_say "saved after $SECONDS s: $base"
fi

# Machines of older recipes go, unless a guest still stands on one.
for old in "$LAB_CACHE/$SUITE"-*/ "$LAB_CACHE/.build-$SUITE"-*/; do
    old=${old%/}
    [[ -d $old && $old != "$base" ]] || continue
    if [[ ! -e $old/in-use ]] || flock -n -x "$old/in-use" true; then
        lab_say "removing $old"
        rm -rf --one-file-system "$old"
    fi
done

echo "$base/$saved"
