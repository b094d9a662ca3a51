# What zam's roles need for /etc/zam/zam.toml. Read it, then run it as root: zamctl grant --print | sh
# Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.
# The pools could not be listed: this is made from the names in the config alone.

# tank/home and all below it, today's and tomorrow's (/etc/zam/zam.toml:2)
# zam-snap: take snapshots, hold them, release these holds.
zfs allow -u zam-snap snapshot,hold,release tank/home
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount tank/home
# zam-prune: destroy bookmarks that no replica needs any more (without `mount`, so not the dataset itself).
zfs allow -l -u zam-prune destroy tank/home
# zam-send: read snapshots, to send them.
zfs allow -d -u zam-send send tank/home
# zam-send: mark what was sent, so that the next step has its base.
zfs allow -u zam-send bookmark tank/home

# tank/home/ann and all below it, today's and tomorrow's (/etc/zam/zam.toml:8)
# zam-snap: has it from the grant on tank/home.
# zam-prune: has it from the grant on tank/home.
# zam-send: has it from the grant on tank/home.

# What this machine receives: zamctl grant --print --replica
