# What zam's roles need for /etc/zam/zam.toml. Read it, then run it as root: zamctl grant --print | sh
# Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.

# tank/home and all below it, today's and tomorrow's (/etc/zam/zam.toml:5)
# The config leaves out tank/home/ann/cache, tank/home/ben/cache, tank/home/cache, tank/home/off, yet the grants reach it too: zfs cannot subtract.
# zam-snap: take snapshots, hold them, release these holds.
zfs allow -u zam-snap snapshot,hold,release tank/home
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount tank/home

# tank/home/ann and all below it, today's and tomorrow's (/etc/zam/zam.toml:10)
# zam-snap: has it from the grant on tank/home.
# zam-prune: has it from the grant on tank/home.

# tank/home/off and all below it, today's and tomorrow's (/etc/zam/zam.toml:14)
# Nothing: the entry is switched off.

# tank/my vm (/etc/zam/zam.toml:18)
# It is not there now: run this when it is.
# zam-snap: hold snapshots and release these holds; it takes none here.
zfs allow -l -u zam-snap hold,release 'tank/my vm'
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount 'tank/my vm'

# tank/new (/etc/zam/zam.toml:22)
# It is not there now: run this when it is.
# zam-snap: take snapshots, hold them, release these holds.
zfs allow -l -u zam-snap snapshot,hold,release tank/new
# zam-prune: nothing, since `prune-period` is "never".

# usb/backup and all below it, today's and tomorrow's (/etc/zam/zam.toml:26)
# The pool usb is not imported now: run this when it is.
# zam-snap: take snapshots, hold them, release these holds.
zfs allow -u zam-snap snapshot,hold,release usb/backup
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount usb/backup
