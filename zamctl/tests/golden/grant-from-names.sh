# What zam's roles need for /etc/zam/zam.toml. Read it, then run it as root: zamctl grant --print | sh
# Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.
# The pools could not be listed: this is made from the names in the config alone.

# tank/home and all below it, today's and tomorrow's (/etc/zam/zam.toml:5)
# What `exclude` leaves out is reached too: zfs cannot subtract from a grant.
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount tank/home

# tank/home/ann and all below it, today's and tomorrow's (/etc/zam/zam.toml:10)
# zam-prune: has it from the grant on tank/home.

# tank/home/off and all below it, today's and tomorrow's (/etc/zam/zam.toml:14)
# Nothing: the entry is switched off.

# tank/my vm (/etc/zam/zam.toml:18)
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount 'tank/my vm'

# tank/new (/etc/zam/zam.toml:22)
# zam-prune: nothing, since `prune-period` is "never".

# usb/backup and all below it, today's and tomorrow's (/etc/zam/zam.toml:26)
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount usb/backup
