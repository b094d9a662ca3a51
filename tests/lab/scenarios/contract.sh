#!/usr/bin/env bash
# What the simulated pool promises, real ZFS does: the suite of zfs/src/contract, as two unix users, once through libzfs_core and once,
# where that cannot be loaded, through the `zfs` command.
# timeout: 2700
source "${ZAM_LAB:-/root/lab}/lib.sh"

# Where every user may run it.
install -m 755 "$ZAM_LAB/bin/contract" /usr/local/bin/zam-contract
mkdir -p /var/tmp/no-library && : >/var/tmp/no-library/libzfs_core.so.3

# each_case CMD...: a check for each line of the suite; its last line and its exit status must agree.
each_case() {
    local line last='' status
    while read -r line; do
        case $line in
        ok\ *) pass "${line#ok }" ;;
        FAIL\ *) fail "${line#FAIL }" ;;
        exit\ *) status=${line#exit } ;;
        *) last=$line ;;
        esac
    done < <("$@" 2>&1 && echo 'exit 0' || echo "exit $?")
    note "$last"
    assert_eq "the suite ended well" 0 "${status:-none}"
}

note "OpenZFS $(cat /sys/module/zfs/version)"
section "through libzfs_core"
each_case zam-contract
section "through the command line"
each_case env LD_LIBRARY_PATH=/var/tmp/no-library zam-contract
