# All of it for a root shell; read it first. `--write` writes the config, and prints the rest in short.
set -eC
cat >zam.toml <<'END'
# Made by `zamctl setup`. /usr/share/doc/zam/docs/config.md has every key; `zamctl check` reads it.

[[managed-datasets]]
source = "tank"
recursive = true
snapshot-period = "10m"
windows = [{ max-age = "2d", period = "10m" }, { max-age = "2w", period = "1h" }, { max-age = "6mo", period = "1d" }]
destinations = [{ pool = "usb", dataset = "copies" }]

[[managed-datasets]]
source = "rpool"
recursive = true
snapshot-period = "10m"
windows = [{ max-age = "2d", period = "10m" }, { max-age = "2w", period = "1h" }, { max-age = "6mo", period = "1d" }]
destinations = [{ pool = "usb", dataset = "copies" }]

# Boot environments: zectl, zsys and the like destroy and roll back here, where holds stand in the way.
# So snapshots are not held, and one key alone could destroy them: `zamctl status` says so.
[[managed-datasets]]
source = "rpool/ROOT"
hold = false

# Disks of virtual machines: Proxmox, libvirt and the like destroy and roll back here, where holds stand in the way.
# So snapshots are not held, and one key alone could destroy them: `zamctl status` says so.
[[managed-datasets]]
source = "rpool/data"
hold = false

# Boot environments: zectl, zsys and the like destroy and roll back here, where holds stand in the way.
# So snapshots are not held, and one key alone could destroy them: `zamctl status` says so.
[[managed-datasets]]
source = "tank/ROOT"
hold = false

# Disks of virtual machines: Proxmox, libvirt and the like destroy and roll back here, where holds stand in the way.
# So snapshots are not held, and one key alone could destroy them: `zamctl status` says so.
[[managed-datasets]]
source = "tank/data"
hold = false

# Containers: docker, lxd, containerd and the like make and destroy these all the time,
# and snapshots stand in the way. What holds data there can have an entry of its own.
[[managed-datasets]]
source = "tank/docker"
enabled = false

# Containers: docker, lxd, containerd and the like make and destroy these all the time,
# and snapshots stand in the way. What holds data there can have an entry of its own.
[[managed-datasets]]
source = "tank/lxd"
enabled = false

# For /etc/zam/zam.toml of this machine, or a file in zam.d beside it: what me sends.

[[replicas]]
client = "me"
root = "usb/copies"
windows = [{ max-age = "2d", period = "10m" }, { max-age = "2w", period = "1h" }, { max-age = "6mo", period = "1d" }]
timezone = "UTC"
END
chmod 0644 zam.toml
set +eC

# What zam's roles need for zam.toml. Read it, then run it as root: zamctl grant --print --replica | sh
# Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.

# usb/copies: what the client me sends (zam.toml:55)
# What arrives inherits all of this, so that nothing of it is mounted, run, written or seen as a disk here.
zfs list -H -o name usb/copies >/dev/null 2>&1 || zfs create -u -o mountpoint=none -o readonly=on -o setuid=off -o exec=off -o devices=off -o volmode=none -o snapdev=hidden usb/copies
# How much this client may fill; choose, and take the `#` away. The limits hold for zam-recv, not for root.
# zfs set quota=1T snapshot_limit=100000 filesystem_limit=1000 usb/copies
# zam-snap: hold snapshots and release these holds; it takes none here.
zfs allow -u zam-snap hold,release usb/copies
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount usb/copies
# zam-recv: add what is received, hold it; nothing can be rolled back by receiving.
zfs allow -u zam-recv receive:append,create,mount,hold usb/copies
# whoever creates a dataset: throw away what was half received, and not what is received: zam-recv gets this with what it creates.
zfs allow -c destroy,mount usb/copies
# What zam's roles need for zam.toml. Read it, then run it as root: zamctl grant --print | sh
# Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.

# rpool and all below it, today's and tomorrow's (zam.toml:10)
# zam-snap: take snapshots, hold them, release these holds.
zfs allow -u zam-snap snapshot,hold,release rpool
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount rpool
# zam-prune: destroy bookmarks that no replica needs any more (without `mount`, so not the dataset itself).
zfs allow -l -u zam-prune destroy rpool
# zam-send: read snapshots, to send them.
zfs allow -d -u zam-send send rpool
# zam-send: mark what was sent, so that the next step has its base.
zfs allow -u zam-send bookmark rpool

# rpool/ROOT and all below it, today's and tomorrow's (zam.toml:19)
# zam-snap: has it from the grant on rpool.
# zam-prune: has it from the grant on rpool.
# zam-send: has it from the grant on rpool.

# rpool/data and all below it, today's and tomorrow's (zam.toml:25)
# zam-snap: has it from the grant on rpool.
# zam-prune: has it from the grant on rpool.
# zam-send: has it from the grant on rpool.

# tank and all below it, today's and tomorrow's (zam.toml:3)
# The config leaves out tank/docker, tank/lxd, yet the grants reach it too: zfs cannot subtract.
# zam-snap: take snapshots, hold them, release these holds.
zfs allow -u zam-snap snapshot,hold,release tank
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount tank
# zam-prune: destroy bookmarks that no replica needs any more (without `mount`, so not the dataset itself).
zfs allow -l -u zam-prune destroy tank
# zam-send: read snapshots, to send them.
zfs allow -d -u zam-send send tank
# zam-send: mark what was sent, so that the next step has its base.
zfs allow -u zam-send bookmark tank

# tank/ROOT and all below it, today's and tomorrow's (zam.toml:31)
# zam-snap: has it from the grant on tank.
# zam-prune: has it from the grant on tank.
# zam-send: has it from the grant on tank.

# tank/data and all below it, today's and tomorrow's (zam.toml:37)
# zam-snap: has it from the grant on tank.
# zam-prune: has it from the grant on tank.
# zam-send: has it from the grant on tank.

# tank/docker and all below it, today's and tomorrow's (zam.toml:43)
# Nothing: the entry is switched off.

# tank/lxd and all below it, today's and tomorrow's (zam.toml:49)
# Nothing: the entry is switched off.

# What this machine receives: zamctl grant --print --replica

# The daemons; and whether all is well.
systemctl enable --now zamd-snap zamd-prune zamd-send zamd-recv zamd-watch
zamctl --config zam.toml doctor
