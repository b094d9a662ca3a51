#!/usr/bin/env bash
# Encrypted datasets: raw, whether the key is loaded or not, never mixed; and the way back, to where the key is.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 512M -O mountpoint=/mnt/tank
make_pool nas 512M -O mountpoint=none
head -c 32 /dev/urandom >/root/key
zfs create -o encryption=on -o keyformat=raw -o keylocation=file:///root/key -o mountpoint=/mnt/secret tank/secret
zfs create tank/secret/child
dd if=/dev/urandom of=/mnt/secret/file bs=1M count=3 status=none
echo 'a very secret line' >/mnt/secret/child/note
zfs snapshot -r tank/secret@s1
copies_up <<'TOML'
[[managed-datasets]]
source = "tank/secret"
recursive = true
adopt = ["s[0-9]*"]
replication-period = "never"
destinations = [{ remote-host = "olympus" }]
TOML
copy=nas/zam/lab/tank/secret

section "with the key loaded"
ok "it is sent" zamctl replicate --wait
for below in '' /child; do
    assert_eq "tank/secret$below is there by its identity" "$(guids tank/secret$below)" "$(guids $copy$below)"
    assert_eq "encrypted as it was, and no key is there" "aes-256-gcm unavailable" "$(zfs get -H -o value encryption,keystatus $copy$below | xargs)"
    ok "held" all_held $copy$below
done
refused "nobody reads it there" content $copy@s1
assert_eq "nor in the pool" "" "$(zpool sync nas; grep -c 'a very secret line' "$LAB_POOLS/nas.img" | grep -v '^0$' || true)"

section "without the key"
dd if=/dev/urandom of=/mnt/secret/more bs=1M count=1 status=none
echo 'another secret line' >/mnt/secret/child/note
zfs snapshot -r tank/secret@s2
want=$(content tank/secret@s2) want_child=$(content tank/secret/child@s2)
zfs unmount tank/secret/child && zfs unmount tank/secret && zfs unload-key -r tank/secret
ok "control: the key is not loaded" test "$(zfs get -H -o value keystatus tank/secret/child)" = unavailable
refused "control: what is not raw cannot be sent now" bash -o pipefail -c 'zfs send tank/secret@s2 | cat >/dev/null'
ok "a step is sent" zamctl replicate --wait
destroy tank/secret@s1 tank/secret/child@s1
zfs snapshot -r tank/secret@s3
ok "and one from a bookmark" zamctl replicate --wait
for below in '' /child; do
    assert_eq "all three are there" "$(guids tank/secret$below)" "$(guids $copy$below | cut -d ' ' -f 2-)"
    ok "held" all_held $copy$below
done

section "what is not raw does not get in between"
zfs load-key tank/secret && zfs mount tank/secret && zfs mount tank/secret/child
sed -i 's/remote-host = "olympus"/remote-host = "olympus", raw = false/' /etc/zam/zam.toml
systemctl reload zamd-send
echo x >/mnt/secret/x && zfs snapshot -r tank/secret@s4
before=$(guids $copy)
lab_try zamctl replicate --wait
note "$LAB_OUTPUT"
assert_eq "nothing of it arrives" "$before" "$(guids $copy)"
assert_match "and it says why" 'raw' "$(copy tank/secret tostring)"
sed -i 's/, raw = false//' /etc/zam/zam.toml
systemctl reload zamd-send
ok "control: raw it goes on" zamctl replicate --wait
assert_eq "to the newest" "$(guid tank/secret@s4)" "$(guid $copy@s4)"

section "the way back"
for below in '' /child; do
    zamctl restore --print tank/secret$below@s2 --from olympus "${LAB_THERE[@]}" --to tank/back${below//\//-} --login root >/var/tmp/restore.sh
    [[ -e /root/.ssh/id_ed25519 ]] || {
        ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
        cat /root/.ssh/id_ed25519.pub >>/root/.ssh/authorized_keys
        printf 'Host olympus\n HostName 127.0.0.1\n StrictHostKeyChecking accept-new\n' >/root/.ssh/config
    }
    # As it says where the key is loaded: a key in a file is named, before the line that would ask for a passphrase.
    sed "/^case .*keystatus/i zfs load-key -L file:///root/key tank/back${below//\//-}" /var/tmp/restore.sh >/var/tmp/restore2.sh
    assert_match "it says how the key is named" 'zfs load-key -L file:///PATH' "$(cat /var/tmp/restore.sh)"
    sed -n '/^# 1\./,/^# 2\./s/^#    //p' /var/tmp/restore.sh >/var/tmp/before.sh
    ok "the replica's admin" sh -e /var/tmp/before.sh
    ok "the source's, tank/secret$below" sh -e /var/tmp/restore2.sh
    assert_eq "it is back, by its identity" "$(guid $copy$below@s2)" "$(guid tank/back${below//\//-}@s2)"
done
assert_eq "with its content" "$want" "$(content tank/back@s2)"
assert_eq "and the child's" "$want_child" "$(content tank/back-child@s2)"
