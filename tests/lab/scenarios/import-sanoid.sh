#!/usr/bin/env bash
# Coming from sanoid: Debian's sanoid runs through a month on a clock that is set forward, and zam, by what `zamctl import` makes of its
# config, keeps of the same snapshots at least what sanoid keeps. Then a replica that plain `zfs send` made is gone on with.
#
# sanoid decides by names and creation times, so days are stepped through with a run at each end of a day, and only the last one
# hour by hour: hours that are older than it keeps would be gone anyway.
# timeout: 3600
source "${ZAM_LAB:-/root/lab}/lib.sh"
export TZ=UTC

make_pool tank 256M -O mountpoint=none
zfs create tank/kept && zfs create tank/all
mkdir -p /etc/sanoid
cp /usr/share/sanoid/sanoid.defaults.conf /etc/sanoid/ 2>/dev/null || true
sanoid_conf() { # AUTOPRUNE: of tank/all
    cat >/etc/sanoid/sanoid.conf <<CONF
[tank/kept]
use_template = lab
[tank/all]
use_template = lab
autoprune = $1
[template_lab]
hourly = 8
daily = 20
weekly = 2
monthly = 2
yearly = 0
CONF
}
section "a month"
sanoid_conf no
runs=0
run_at() { date -s "$1" >/dev/null && sanoid --cron >/dev/null && runs=$((runs + 1)); }
today=$(date +%F)
for day in $(seq 0 32); do run_at "$(date -d "$today + $day days" +%F) 23:59:10"; done
for hour in $(seq 0 9); do run_at "$(date -d "$today + 33 days" +%F) $hour:00:10"; done
note "$runs runs, until $(date)"

section "what is kept"
install_zam >/dev/null
# of the same snapshots, as if sanoid pruned there too
sanoid_conf yes
zamctl import sanoid /etc/sanoid/sanoid.conf --adopt | tee /etc/zam/zam.toml
ok "the config is good" zamctl check
kept=$(snaps tank/kept)
ours=$(zamctl explain tank/all --json | jq -r '.snapshots[] | select(.managed and (.expired | not)) | .snapshot')
all=$(snaps tank/all)
note "taken: $(wc -l <<<"$all"), kept by sanoid: $(wc -l <<<"$kept"), by zam: $(wc -l <<<"$ours")"
for kind in hourly daily weekly monthly; do note "$kind: sanoid keeps $(grep -c "_$kind$" <<<"$kept")"; done
# pieces CHARACTERS: the hours, days or months of these names
pieces() { sed 's/^autosnap_//' | cut -c "1-$1" | sort -u; }
weeks() { sed -E 's/^autosnap_([^_]*)_.*/\1/' | date -f - +%G-W%V | sort -u; }
ok "sanoid pruned" test "$(wc -l <<<"$kept")" -lt "$(wc -l <<<"$all")"
ok "zam lets something go too" test "$(wc -l <<<"$ours")" -lt "$(wc -l <<<"$all")"
assert_eq "each hour of which sanoid keeps its hourly has one" "" "$(grep _hourly$ <<<"$kept" | pieces 13 | comm -23 - <(pieces 13 <<<"$ours"))"
assert_eq "each day of which sanoid keeps its daily has one" "" "$(grep _daily$ <<<"$kept" | pieces 10 | comm -23 - <(pieces 10 <<<"$ours"))"
assert_eq "each week of which sanoid keeps its weekly has one" "" "$(grep _weekly$ <<<"$kept" | weeks | comm -23 - <(weeks <<<"$ours"))"
assert_eq "each month of which sanoid keeps its monthly has one" "" "$(grep _monthly$ <<<"$kept" | pieces 7 | comm -23 - <(pieces 7 <<<"$ours"))"
# One more of each kind, and what stands for two kinds at a time counts once.
ok "and not much more" test "$(wc -l <<<"$ours")" -le $(($(wc -l <<<"$kept") + 5))

section "the replica that is there"
make_pool nas 256M -O mountpoint=none
zfs create nas/copies
mapfile -t names <<<"$kept"
half=$((${#names[@]} / 2))
zfs send "tank/kept@${names[0]}" | zfs receive nas/copies/kept
zfs send -I "@${names[0]}" "tank/kept@${names[half]}" | zfs receive nas/copies/kept
zfs snapshot nas/copies/kept@taken-there
was=$(guid nas/copies/kept) before=$(guids nas/copies/kept)
rm /etc/sanoid/sanoid.conf
printf '[tank/kept]\nuse_template = lab\n[template_lab]\nhourly = 8\ndaily = 20\nmonthly = 2\n' >/etc/sanoid/sanoid.conf
zamctl import sanoid /etc/sanoid/sanoid.conf --replica tank/kept=nas/copies/kept --client lab | tee /etc/zam/zam.toml
assert_match "it goes on from the newest that both have" "tank/kept@${names[half]} \\(GUID $(guid "tank/kept@${names[half]}")\\)" "$(cat /etc/zam/zam.toml)"
assert_match "and says what a rollback destroys" 'rollback -r .*taken-there' "$(cat /etc/zam/zam.toml)"
ok "root does what is printed first" sh -ec "$(sed -n 's/^#    zfs /zfs /p' /etc/zam/zam.toml)"
ok "the grants" as_root grant --print
ok "the grants of the replica" as_root grant --print --replica
systemctl enable --now zamd-snap zamd-prune zamd-recv zamd-send
arrived() { snaps nas/copies/kept | grep -q '^zam-'; }
ok "a copy goes" wait_for 300 zamctl replicate --wait tank/kept
ok "and arrives" wait_for 120 arrived
assert_eq "in the dataset that was there" "$was" "$(guid nas/copies/kept)"
assert_eq "with all that it had, less what was taken there" "$(awk '{ NF -= 1 } 1' <<<"$before")" \
    "$(guids nas/copies/kept | cut -d ' ' -f "1-$(($(wc -w <<<"$before") - 1))")"
assert_eq "sanoid's snapshots are nobody's business" "$kept" "$(snaps tank/kept | grep '^autosnap_')"
