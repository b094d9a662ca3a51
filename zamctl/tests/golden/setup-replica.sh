# All of it for a root shell; read it first. `--write` writes the config, and prints the rest in short.
set -eC
cat >zam.toml <<'END'
# Made by `zamctl setup`. /usr/share/doc/zam/docs/config.md has every key; `zamctl check` reads it.

[[replicas]]
client = "laptop"
root = "usb/zam/laptop"
windows = [{ max-age = "2d", period = "10m" }, { max-age = "2w", period = "1h" }, { max-age = "6mo", period = "1d" }]
END
chmod 0644 zam.toml
set +eC

# What zam's roles need for zam.toml. Read it, then run it as root: zamctl grant --print --replica | sh
# Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.

# usb/zam/laptop: what the client laptop sends (zam.toml:3)
# What arrives inherits all of this, so that nothing of it is mounted, run, written or seen as a disk here.
zfs list -H -o name usb/zam >/dev/null 2>&1 || zfs create -u -o mountpoint=none -o canmount=off usb/zam
zfs list -H -o name usb/zam/laptop >/dev/null 2>&1 || zfs create -u -o mountpoint=none -o readonly=on -o setuid=off -o exec=off -o devices=off -o volmode=none -o snapdev=hidden usb/zam/laptop
# How much this client may fill; choose, and take the `#` away. The limits hold for zam-recv, not for root.
# zfs set quota=1T snapshot_limit=100000 filesystem_limit=1000 usb/zam/laptop
# zam-snap: hold snapshots and release these holds; it takes none here.
zfs allow -u zam-snap hold,release usb/zam/laptop
# zam-prune: destroy snapshots that nobody holds (`mount` goes with it; only root can really mount).
zfs allow -d -u zam-prune destroy,mount usb/zam/laptop
# zam-recv: add what is received, hold it; nothing can be rolled back by receiving.
zfs allow -u zam-recv receive:append,create,mount,hold usb/zam/laptop
# whoever creates a dataset: throw away what was half received, and not what is received: zam-recv gets this with what it creates.
zfs allow -c destroy,mount usb/zam/laptop

# How vm lets laptop in. Read it, then run it on vm, as root, where the package zam is installed.
# Its config comes from `zamctl replica-config --print` on laptop, its datasets and grants, then, from
# `zamctl grant --print --replica` on vm.

# The key of laptop may start this one command, as zam-ssh, who has no right at all; no terminal, no forwarding, no other word.
install -d -m 0755 /etc/zam
touch /etc/zam/authorized_keys
chown root:root /etc/zam/authorized_keys
chmod 0644 /etc/zam/authorized_keys
line='restrict,command="/usr/bin/zam-receive --client laptop --root usb/zam/laptop" ssh-ed25519 AAAA zam-send@laptop'
grep -qxF "$line" /etc/zam/authorized_keys || printf '%s\n' "$line" >>/etc/zam/authorized_keys

# Nor has zam-ssh any jobs for later.
test -e /etc/cron.allow || grep -qsxF zam-ssh /etc/cron.deny || echo zam-ssh >>/etc/cron.deny

# Only that file counts for zam-ssh: it is root's, so that nobody who gets in can add a key. `AllowUsers` or `AllowGroups`,
# if sshd has them, must let zam-ssh in; where it has `UsePAM no`, a locked password locks keys out too: usermod -p '*' zam-ssh
install -d -m 0755 /etc/ssh/sshd_config.d
cat >/etc/ssh/sshd_config.d/zam.conf <<'END'
# For the replica's sshd: /etc/ssh/sshd_config.d/zam.conf (`zamctl ssh --print` says the rest). Whom the sources' ssh becomes.
# Only keys that root wrote into /etc/zam/authorized_keys let in, and each of them starts its one command and nothing else.
Match User zam-ssh
    AuthorizedKeysFile /etc/zam/authorized_keys
    AuthorizedKeysCommand none
    AuthorizedPrincipalsCommand none
    TrustedUserCAKeys none
    AuthenticationMethods publickey
    PubkeyAuthentication yes
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    HostbasedAuthentication no
    DisableForwarding yes
    AllowAgentForwarding no
    AllowTcpForwarding no
    AllowStreamLocalForwarding no
    X11Forwarding no
    GatewayPorts no
    PermitTunnel no
    PermitTTY no
    PermitUserRC no
    ClientAliveInterval 60
    ClientAliveCountMax 3
Match all
END
chmod 0644 /etc/ssh/sshd_config.d/zam.conf
sshd -t && { systemctl reload ssh 2>/dev/null || systemctl reload sshd; }
sshd -T -C user=zam-ssh,host=localhost,addr=127.0.0.1 | grep -qx 'authorizedkeysfile /etc/zam/authorized_keys' ||
    echo 'sshd does not read /etc/ssh/sshd_config.d: put the block into /etc/ssh/sshd_config' >&2

# The daemons; and whether all is well.
systemctl enable --now zamd-snap zamd-prune zamd-recv zamd-watch
zamctl --config zam.toml doctor
