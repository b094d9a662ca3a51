# At olympus
# reboot  [2Kreboot, as root. The branch that is there stays, as nas/zam/me/tank/my data-diverged-1790000000; nothing is sent again.
zfs rename 'nas/zam/me/tank/my data' 'nas/zam/me/tank/my data-diverged-1790000000'
zfs clone 'nas/zam/me/tank/my data-diverged-1790000000@s1' 'nas/zam/me/tank/my data'
zfs promote 'nas/zam/me/tank/my data'
zfs rename 'nas/zam/me/tank/my data-diverged-1790000000/one' 'nas/zam/me/tank/my data/one'
zfs rename 'nas/zam/me/tank/my data-diverged-1790000000/two words' 'nas/zam/me/tank/my data/two words'
# Then here: zamctl replicate 'tank/my data' --to '7bcb02ac;reboot'
