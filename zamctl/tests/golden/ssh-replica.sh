# How olympus lets laptop in. Read it, then run it on olympus, as root, where the package zam is installed.
# Its config comes from `zamctl replica-config --print` on laptop, its datasets and grants, then, from
# `zamctl grant --print --replica` on olympus.

# The key of laptop may start this one command, as zam-ssh, who has no right at all; no terminal, no forwarding, no other word.
install -d -m 0755 /etc/zam
touch /etc/zam/authorized_keys
chown root:root /etc/zam/authorized_keys
chmod 0644 /etc/zam/authorized_keys
line='restrict,command="/usr/bin/zam-receive --client laptop --root nas/zam/laptop" ssh-ed25519 AAAA zam-send@laptop'
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
