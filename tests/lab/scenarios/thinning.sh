#!/usr/bin/env bash
# Thinning by windows of seconds: what `zamctl explain` says beforehand of each snapshot is what then happens, and each death has
# its lines in the journal.
source "${ZAM_LAB:-/root/lab}/lib.sh"

GRACE=4
make_pool tank 256M -O mountpoint=none
zfs create tank/a && zfs create -s -V 16M tank/a/vol
zam_up <<TOML
[[managed-datasets]]
source = "tank/a"
recursive = true
snapshot-period = "4s"
prune-period = "3s"
grace = "${GRACE}s"
silence = 0
windows = [{ max-age = "20s", period = "4s" }, { max-age = "2m", period = "20s" }]
TOML

# Lines of GUID, name, when it will expire. Of what has expired `explain` says when that was seen, which is a little later.
FORECASTS=$(mktemp)
forecast() {
    local dataset
    for dataset in tank/a tank/a/vol; do
        zamctl explain "$dataset" --json |
            jq -r --arg dataset $dataset '.snapshots[] | select(.expired | not) | "\(.guid) \($dataset)@\(.snapshot) \(.expires | fromdate)"' >>"$FORECASTS"
    done
}
destroyed() { journalctl OP=destroy OUTCOME=done -o json; }
some_died() { forecast; (($(destroyed | wc -l) >= 12)); }

section "for a while"
ok "snapshots come" wait_for 300 has_more tank/a 1
forecast
ahead=$(zamctl explain tank/a --at +60s --json)
ok "and go" wait_for 900 some_died
zamctl explain tank/a || true

section "what was said is what happened"
sort -u -o "$FORECASTS" "$FORECASTS"
note "forecasts of $(wc -l <"$FORECASTS") snapshots, $(destroyed | wc -l) deaths"
assert_eq "no forecast ever changed, whatever came later" "" "$(cut -d ' ' -f 1 "$FORECASTS" | uniq -d)"
assert_eq "looking ahead says the same as the forecasts" "" \
    "$(jq -r '(.at | fromdate) as $at | .snapshots[] | select(.expired != ((.expires | fromdate) <= $at)) | .snapshot' <<<"$ahead")"
over() { awk -v now="$(date +%s)" '$3 <= now { print $2 }' "$FORECASTS"; }
all_gone() { local name; for name in $1; do if exists "$name"; then return 1; fi; done; }
ok "all that was to be over by now goes" wait_for 300 all_gone "$(over)"
there=$(zfs list -H -o name -t snapshot -r tank/a)
now=$(date +%s)
assert_eq "all that was to stay is there" "" \
    "$(awk -v now="$now" '$3 > now { print $2 }' "$FORECASTS" | grep -vxF -f <(printf '%s\n' "$there") || true)"
# Times of the journal, in whole seconds.
died=$(destroyed | jq -r '"\(.GUID) \(.WHAT) \(.__REALTIME_TIMESTAMP | tonumber / 1000000 | floor)"' | sort)
released=$(journalctl OP=release OUTCOME=done -o json | jq -r '"\(.GUID) \(.WHAT) \(.__REALTIME_TIMESTAMP | tonumber / 1000000 | floor)"' | sort)
assert_eq "none died before its time and its grace" "" \
    "$(join "$FORECASTS" <(printf '%s\n' "$died") | awk -v grace=$GRACE '$5 < $3 + grace { print $2, "at", $5, "not", $3 + grace }')"
assert_eq "none was released before its time" "" \
    "$(join "$FORECASTS" <(printf '%s\n' "$released") | awk '$5 < $3 { print $2, "at", $5, "not", $3 }')"
gone=$(awk '{ print $2 }' "$FORECASTS" | grep -vxF -f <(zfs list -H -o name -t snapshot -r tank/a) || true)
ok "some are gone" test -n "$gone"
# The line comes a moment after the deed.
told() { [[ -z $(grep -vxF -f <(destroyed | jq -r .WHAT) <<<"$gone") ]]; }
ok "each that is gone has its line in the journal" wait_for 300 told
assert_eq "the first of each 20 s of the last minute is there" "" \
    "$(lost_firsts tank/a 20 | awk -v oldest="tank/a@zam-$(date -u -d '-60 seconds' +%Y%m%dT%H%M%SZ)" '$1 >= oldest')"
ok "by zamd-prune, with a reason" test "$(destroyed | jq -r 'select(.WHY != null) | ._COMM' | sort -u)" = zamd-prune
assert_match "the pool's history says that zam-prune did it" 'destroy tank/a@zam-' "$(zpool history -i tank | grep ' destroy ' || true)"
assert_eq "and that nothing else was destroyed" "" "$(zpool history -i tank | grep ' destroy ' | grep -v '@zam-' || true)"
