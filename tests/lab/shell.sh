#!/usr/bin/env bash
# shell.sh SUITE: a root shell in a guest of its own, with lib.sh and the scenarios in /root/lab; gone when you leave.
# With ZAM_LAB_INSTANCE set to a guest that is up, a shell in that one, which stays.
set -euo pipefail

# shellcheck source=tests/lab/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

if [[ -n ${ZAM_LAB_INSTANCE:-} ]] && lab_instance && lab_alive; then
    guest_ssh -t
    exit
fi
suite=${1:?usage: shell.sh trixie|bookworm}
export ZAM_LAB_INSTANCE=${ZAM_LAB_INSTANCE:-shell-$suite-$$}
trap guest_down EXIT
guest_up "$suite"
guest_push "$LAB_DIR/lib.sh" "$LAB_DIR/scenarios" /root/lab/
lab_say "from another terminal: ZAM_LAB_INSTANCE=$ZAM_LAB_INSTANCE $LAB_DIR/guest.sh push FILE /root/"
guest_ssh -t || true
