# tank/my data@zam-20260701T120000Z back, as tank/back. Read it; nothing that is there is changed.
# `-w` sends as it is on disk: encrypted data stays encrypted, and needs no key on the way.

# 1. Here, as root. It is not mounted yet.
zfs send -w 'nas/zam/me/tank/my data@zam-20260701T120000Z' | zfs receive -s -u tank/back

# 2. Here, as root. The key, if it is encrypted; without a passphrase, say where it is: zfs load-key -L file:///PATH tank/back
case $(zfs get -H -o value keystatus tank/back) in unavailable) zfs load-key tank/back </dev/tty ;; esac
case $(zfs get -H -o value type tank/back) in filesystem) zfs mount tank/back ;; esac
# To have the key of the datasets above again, once that is loaded: zfs change-key -i tank/back
# To put it in the old one's place, and go on replicating from this snapshot:
#    zfs rename 'tank/my data' 'tank/my data-before'
#    zfs rename tank/back 'tank/my data'
# What the replica has beyond it is then a branch of its own: zamctl replicate 'tank/my data' --to olympus --rotate
