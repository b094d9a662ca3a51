# All of it for a root shell; read it first. `--write` writes the config, and prints the rest in short.
set -eC
cat >zam.toml <<'END'
# Made by `zamctl setup`. /usr/share/doc/zam/docs/config.md has every key; `zamctl check` reads it.

[[managed-datasets]]
source = "tank/home"
recursive = true
snapshot-period = "10m"
windows = [{ max-age = "2d", period = "10m" }, { max-age = "2w", period = "1h" }, { max-age = "6mo", period = "1d" }]
destinations = [{ remote-host = "olympus" }]
END
chmod 0644 zam.toml
set +eC

# What zam's roles need for zam.toml. Read it, then run it as root: zamctl grant --print | sh
# Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.

# tank/home and all below it, today's and tomorrow's (zam.toml:3)
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

# How zamd-send on me reaches olympus. Read it, then run it here, as root.
# After it, here, as root, for the other machine: zamctl ssh --print olympus --on replica --client me --root nas/zam/me

# A key without a passphrase, since nobody is there to type one. All it can do on olympus is start zam-receive.
install -d -m 0750 -o zam-send -g zam-send /var/lib/zam/send
test -e /var/lib/zam/send/id_ed25519 || runuser -u zam-send -- ssh-keygen -q -t ed25519 -N '' -C zam-send@me -f /var/lib/zam/send/id_ed25519

# Whom to believe to be olympus: the key it shows now. Compare what this prints with what olympus says at its console
# to: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
# If they differ, somebody is in between: rm /var/lib/zam/send/known_hosts
ssh-keygen -F olympus -f /var/lib/zam/send/known_hosts >/dev/null 2>&1 ||
    ssh-keyscan -T 60 -t ed25519 olympus | sed -n 's/^[^ #]* /olympus /p' |
    runuser -u zam-send -- tee -a /var/lib/zam/send/known_hosts >/dev/null
ssh-keygen -lF olympus -f /var/lib/zam/send/known_hosts

# How ssh finds it, and what it offers there: this key, and nothing else. zamd-send's ssh reads no other file.
install -d -m 0755 /etc/zam
grep -qsxF 'Host olympus' /etc/zam/ssh_config || cat >>/etc/zam/ssh_config <<'END'
Host olympus
    HostName olympus
    HostKeyAlias olympus
    IdentityFile /var/lib/zam/send/id_ed25519
    IdentitiesOnly yes
    IdentityAgent none
    PreferredAuthentications publickey
    UserKnownHostsFile /var/lib/zam/send/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    CheckHostIP no
    ClearAllForwardings yes
    ForwardAgent no
    ForwardX11 no
    PermitLocalCommand no
END
chmod 0644 /etc/zam/ssh_config
cat /var/lib/zam/send/id_ed25519.pub
# On olympus, as root, with the key that the line above printed: zamctl setup --replica --client me --root nas/zam/me --every 10m --keep months --write --key 'ssh-ed25519 …'

# The daemons; and whether all is well.
systemctl enable --now zamd-snap zamd-prune zamd-send zamd-watch
zamctl --config zam.toml doctor
