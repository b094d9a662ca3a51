# tank/my data@zam-20260701T120000Z back, as tank/back. Read it; nothing that is there is changed.
# `-w` sends as it is on disk: encrypted data stays encrypted, and needs no key on the way.

# 1. On olympus, as root: 'nas/zam/me/tank/my data@zam-20260701T120000Z' is there, stays there, and ann may read it.
#    zfs list -o name,guid,creation 'nas/zam/me/tank/my data@zam-20260701T120000Z'
#    zfs hold zam-restore 'nas/zam/me/tank/my data@zam-20260701T120000Z'
#    zfs allow -d -u ann send 'nas/zam/me/tank/my data'

# 2. Here, as root. It is not mounted yet; a transfer that breaks off goes on with what is printed after it.
ssh ann@olympus 'zfs send -w '\''nas/zam/me/tank/my data@zam-20260701T120000Z'\''' | zfs receive -s -u tank/back
# Broken off: ssh ann@olympus zfs send -t "$(zfs get -H -o value receive_resume_token tank/back)" | zfs receive -s -u tank/back

# 3. Here, as root. The key, if it is encrypted; without a passphrase, say where it is: zfs load-key -L file:///PATH tank/back
case $(zfs get -H -o value keystatus tank/back) in unavailable) zfs load-key tank/back </dev/tty ;; esac
case $(zfs get -H -o value type tank/back) in filesystem) zfs mount tank/back ;; esac
# To have the key of the datasets above again, once that is loaded: zfs change-key -i tank/back
# To put it in the old one's place, and go on replicating from this snapshot:
#    zfs rename 'tank/my data' 'tank/my data-before'
#    zfs rename tank/back 'tank/my data'
# What the replica has beyond it is then a branch of its own: zamctl replicate 'tank/my data' --to olympus --rotate

# 4. On olympus, as root, afterwards:
#    zfs unallow -d -u ann send 'nas/zam/me/tank/my data'
#    zfs release zam-restore 'nas/zam/me/tank/my data@zam-20260701T120000Z'
