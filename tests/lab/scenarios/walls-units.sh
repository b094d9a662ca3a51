#!/usr/bin/env bash
# What the running units are: users without rights, in a box.
source "${ZAM_LAB:-/root/lab}/lib.sh"

make_pool tank 256M -O mountpoint=none
make_pool usb 256M -O mountpoint=none
zfs create tank/data
zam_up <<'TOML'
[[managed-datasets]]
source = "tank/data"
snapshot-period = "1d"
replication-period = "10s"
keep = { daily = 30 }
destinations = [{ pool = "usb", dataset = "copies" }]
[[replicas]]
client = "here"
root = "usb/copies"
keep = { daily = 30 }
TOML
zamctl grant --print --replica | sh
systemctl enable --now zamd-recv zamd-send
ok "they work: a snapshot is there" wait_for 300 sh -c '[ -n "$(zfs list -H -o name -t snapshot tank/data)" ]'
ok "and its copy" wait_for 300 sh -c '[ -n "$(zfs list -H -o name -t snapshot usb/copies/tank/data)" ]'

field() { sed -n "s/^$1:[[:space:]]*//p" <<<"$state"; }
for role in snap prune send recv; do
    section "zamd-$role"
    main=$(systemctl show -p MainPID --value zamd-$role)
    uid=$(id -u zam-$role)
    ok "it has a worker" wait_for 300 pgrep -P "$main"
    looked_at=0
    for pid in $main $(pgrep -P "$main"); do
        # All of it at one instant; what is done with its work is no more to be looked at.
        what="zamd-$role ($(tr '\0' ' ' <"/proc/$pid/cmdline"))" && state=$(cat "/proc/$pid/status") && [[ $state != *$'\nState:\tZ'* ]] || continue
        looked_at=$((looked_at + 1))
        assert_eq "R-UNIT-1 $what is its user, in all four ids" "$uid $uid $uid $uid" "$(field Uid | xargs)"
        assert_eq "R-UNIT-1 and in no group but its own" "$(id -G zam-$role | tr ' ' '\n' | sort -n | xargs)" \
            "$(field Groups | tr ' ' '\n' | grep . | sort -n | xargs)"
        assert_eq "R-UNIT-1 which is no operators'" "" "$(id -Gn zam-$role | tr ' ' '\n' | grep -x zam-operators || true)"
        for set in CapInh CapPrm CapEff CapBnd CapAmb; do
            assert_eq "R-UNIT-1 $set is empty" 0000000000000000 "$(field $set)"
        done
        assert_eq "R-UNIT-1 it gains none" 1 "$(field NoNewPrivs)"
        assert_eq "R-UNIT-1 it is filtered" 2 "$(field Seccomp)"
        filters=$(field Seccomp_filters)
        assert_match "R-UNIT-1 by the unit's filters and its own" '^[0-9]+$' "$filters"
        note "$filters filters"
    done
    ok "it and a worker were looked at" test $looked_at -ge 2
    inside() { nsenter -t "$main" "$@"; }
    # zamd-send starts ssh.
    if [[ $role != send ]]; then
        assert_eq "R-UNIT-2 no network but lo" lo "$(inside -n ip -o link | awk -F ': ' '{print $2}' | xargs)"
        assert_match "control: outside there is one" 'eth0|ens|enp' "$(ip -o link)"
    fi
    # Even root, in its view of the files.
    for path in /etc /usr /boot /root /home /srv; do
        refused "R-UNIT-3 $path is not to be written" inside -m touch "$path/zam-was-here"
    done
    refused "R-UNIT-3 nor the other's folder" inside -m touch "/var/lib/zam/$([[ $role == snap ]] && echo prune || echo snap)/zam-was-here"
    ok "control: its own is" inside -m touch "/var/lib/zam/$role/zam-was-here"
    rm -f "/var/lib/zam/$role/zam-was-here"
    ok "control: and outside root writes" sh -c 'touch /etc/zam-was-here && rm /etc/zam-was-here'
    for way in user mnt pid; do
        note "$way: $(readlink "/proc/$main/ns/$way")"
    done
    assert_eq "R-UNIT-4 namespaces are not to be made" yes "$(systemctl show -p RestrictNamespaces --value zamd-$role)"
    assert_eq "R-UNIT-4 and it is in the first user namespace, where its grants count" "$(readlink /proc/1/ns/user)" "$(readlink "/proc/$main/ns/user")"

    since=$(date +%s)
    said() { journalctl -u zamd-$role --since "@$since" -o cat | grep -q "$1"; }
    # What people have elsewhere, readable for all: it is found by way of the config, which is read again.
    echo '# nothing' >/srv/extra.toml
    ln -s /srv/extra.toml /etc/zam/zam.d/extra.toml
    ok "control: outside it is read" zamd-$role --check
    systemctl reload zamd-$role
    ok "R-UNIT-6 what lies elsewhere the daemon does not read" wait_for 120 said 'extra.toml.*ermission denied'
    ln -sf /etc/zam/there.toml /etc/zam/zam.d/extra.toml
    cp /srv/extra.toml /etc/zam/there.toml
    systemctl reload zamd-$role
    ok "control: beside its config it does" wait_for 120 said 'reloaded'
    rm /etc/zam/zam.d/extra.toml /etc/zam/there.toml /srv/extra.toml

    section "zamd-$role by hand, as what it must not be"
    mkdir -p /var/tmp/hand/run /var/tmp/hand/state
    refused_with 'does not run as root' "R-UNIT-5 as root it does not run" \
        timeout 60 zamd-$role --runtime-dir /var/tmp/hand/run --state-dir /var/tmp/hand/state
    chown -R zam-$role: /var/tmp/hand
    refused_with 'capabilit' "R-UNIT-5 nor with a capability" timeout 60 setpriv --reuid=zam-$role --regid=zam-$role --clear-groups \
        --inh-caps=+net_bind_service --ambient-caps=+net_bind_service \
        zamd-$role --runtime-dir /var/tmp/hand/run --state-dir /var/tmp/hand/state
    as_a_unit() {
        timeout 300 systemd-run -q --unit "hand-$role" -p User=zam-$role -p Type=notify -p SyslogIdentifier=hand "$@" \
            zamd-$role --runtime-dir /var/tmp/hand/run --state-dir /var/tmp/hand/state
    }
    since=$(date +%s)
    refused "R-UNIT-5 nor under a unit that leaves it any to regain" as_a_unit
    ok "which it says" wait_for 60 sh -c "journalctl -t hand -t zamd-$role --since @$since -o cat | grep -q 'the unit needs .CapabilityBoundingSet='"
    systemctl reset-failed "hand-$role" || true
    ok "control: under one that does not it runs" as_a_unit -p CapabilityBoundingSet=
    systemctl stop "hand-$role"
    setpriv --reuid=zam-$role --regid=zam-$role --clear-groups --inh-caps=-all \
        zamd-$role --runtime-dir /var/tmp/hand/run --state-dir /var/tmp/hand/state >/var/tmp/hand.log 2>&1 &
    hand=$!
    ok "control: as zam-$role it does" wait_for 300 test -S "/var/tmp/hand/run/$role/status.sock"
    kill $hand
    wait $hand || true
    rm -rf /var/tmp/hand
done
drop_pool tank
drop_pool usb
