# What zam's roles need for /etc/zam/zam.toml. Read it, then run it as root: zamctl grant --print --replica | sh
# Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.
# The pools could not be listed: this is made from the names in the config alone.

# nas/zam/my laptop: what the client laptop sends (/etc/zam/zam.toml:13)
# What arrives inherits all of this, so that nothing of it is mounted, run, written or seen as a disk here.
zfs list -H -o name nas/zam >/dev/null 2>&1 || zfs create -u -o mountpoint=none -o canmount=off nas/zam
zfs list -H -o name 'nas/zam/my laptop' >/dev/null 2>&1 || zfs create -u -o mountpoint=none -o readonly=on -o setuid=off -o exec=off -o devices=off -o volmode=none -o snapdev=hidden 'nas/zam/my laptop'
# How much this client may fill; choose, and take the `#` away. The limits hold for zam-recv, not for root.
# zfs set quota=1T snapshot_limit=100000 filesystem_limit=1000 'nas/zam/my laptop'
# zam-snap: hold snapshots and release these holds; it takes none here.
zfs allow -u zam-snap hold,release 'nas/zam/my laptop'
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount 'nas/zam/my laptop'
# zam-recv: receive, hold what arrived; before OpenZFS 2.3.2 zfs cannot say `only add`, so the holds must stand against rolling back.
zfs allow -u zam-recv receive,create,mount,hold 'nas/zam/my laptop'
# whoever creates a dataset: throw away what was half received, and not what is received: zam-recv gets this with what it creates.
zfs allow -c destroy,mount 'nas/zam/my laptop'

# tank/olympus: what the client olympus sends (/etc/zam/zam.toml:18)
# What arrives inherits all of this, so that nothing of it is mounted, run, written or seen as a disk here.
zfs list -H -o name tank/olympus >/dev/null 2>&1 || zfs create -u -o mountpoint=none -o readonly=on -o setuid=off -o exec=off -o devices=off -o volmode=none -o snapdev=hidden tank/olympus
# How much this client may fill; choose, and take the `#` away. The limits hold for zam-recv, not for root.
# zfs set quota=1T snapshot_limit=100000 filesystem_limit=1000 tank/olympus
# zam-snap: hold snapshots and release these holds; it takes none here.
zfs allow -u zam-snap hold,release tank/olympus
# zam-prune: nothing, since `prune-period` is "never".
# zam-recv: receive, hold what arrived; before OpenZFS 2.3.2 zfs cannot say `only add`, so the holds must stand against rolling back.
zfs allow -u zam-recv receive,create,mount,hold tank/olympus
# whoever creates a dataset: throw away what was half received, and not what is received: zam-recv gets this with what it creates.
zfs allow -c destroy,mount tank/olympus

# usb/zam: what the client self sends (/etc/zam/zam.toml:23)
# What arrives inherits all of this, so that nothing of it is mounted, run, written or seen as a disk here.
zfs list -H -o name usb/zam >/dev/null 2>&1 || zfs create -u -o mountpoint=none -o readonly=on -o setuid=off -o exec=off -o devices=off -o volmode=none -o snapdev=hidden usb/zam
# How much this client may fill; choose, and take the `#` away. The limits hold for zam-recv, not for root.
# zfs set quota=1T snapshot_limit=100000 filesystem_limit=1000 usb/zam
# zam-snap: hold snapshots and release these holds; it takes none here.
zfs allow -u zam-snap hold,release usb/zam
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount usb/zam
# zam-recv: receive, hold what arrived; before OpenZFS 2.3.2 zfs cannot say `only add`, so the holds must stand against rolling back.
zfs allow -u zam-recv receive,create,mount,hold usb/zam
# whoever creates a dataset: throw away what was half received, and not what is received: zam-recv gets this with what it creates.
zfs allow -c destroy,mount usb/zam
