# How zamd-send on laptop reaches olympus. Read it, then run it here, as root.
# After it, here, as root, for the other machine: zamctl ssh --print olympus --on replica

# A key without a passphrase, since nobody is there to type one. All it can do on olympus is start zam-receive.
install -d -m 0750 -o zam-send -g zam-send /var/lib/zam/send
test -e /var/lib/zam/send/id_ed25519 || runuser -u zam-send -- ssh-keygen -q -t ed25519 -N '' -C zam-send@laptop -f /var/lib/zam/send/id_ed25519

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
