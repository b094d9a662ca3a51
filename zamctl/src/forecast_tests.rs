use super::*;
use pretty_assertions::assert_eq;
use zam_names::Kind;
use zam_policy::{
    Zone,
    config::{self, Config},
};

const DAY: i64 = 86_400;
const NOW: UnixTime = UnixTime(1_782_864_000);

fn config(more: &str) -> Config {
    let text =
        format!("[[managed-datasets]]\nsource = \"tank\"\nwindows = [{{ max-age = \"2d\", period = \"1d\" }}]\n{more}");
    config::load(&[("zam.toml".to_owned(), text)], &Zone::utc()).unwrap().0
}

/// A dataset with scheduled snapshots of these ages, held or not.
fn dataset(ages: &[(i64, bool)]) -> Dataset {
    let snapshot = |(place, (age, held)): (usize, &(i64, bool))| Snapshot {
        tag: tags::scheduled("zam", NOW.plus(-age)).unwrap(),
        guid: Guid(place as u64 + 1),
        createtxg: CreateTxg(place as u64 + 1),
        creation: NOW.plus(-age),
        holds: if *held { vec![HOLD_TAG.parse().unwrap()] } else { vec![] },
        clones: 0,
        deferred: false,
        used: Some(1000),
    };
    Dataset {
        name: "tank".parse().unwrap(),
        guid: Guid(99),
        kind: Kind::Filesystem,
        used: 0,
        used_by_snapshots: 0,
        snapshots_changed: None,
        snapshots: ages.iter().enumerate().map(snapshot).collect(),
    }
}

fn steps(more: &str, ages: &[(i64, bool)], ahead: i64) -> Vec<(What, UnixTime, Option<UnixTime>)> {
    let config = config(more);
    let seen = forecast(&dataset(ages), &config.entries[0], &Remembered::default(), NOW, NOW.plus(ahead));
    assert_eq!(
        seen.untouched + seen.steps.iter().filter(|step| !matches!(step.what, What::Take | What::Hold)).count(),
        ages.len() + seen.steps.iter().filter(|step| step.what == What::Destroy && step.when > NOW).count(),
        "every snapshot is accounted for: {seen:?}"
    );
    seen.steps.iter().map(|step| (step.what, step.when, step.destroyed_after)).collect()
}

#[test]
fn what_has_expired_is_released_now_and_destroyed_after_its_grace() {
    assert_eq!(steps("", &[(3 * DAY, true), (DAY, true)], 0), [(What::Release, NOW, Some(NOW.plus(DAY)))]);
    assert_eq!(steps("", &[(3 * DAY, false), (DAY, true)], 0), [(What::Wait, NOW, Some(NOW.plus(DAY)))]);
}

#[test]
fn looking_ahead_shows_both_keys_at_work() {
    let later = NOW.plus(DAY);
    assert_eq!(
        steps("", &[(3 * DAY, true), (DAY, true), (0, true)], DAY),
        [(What::Release, NOW, None), (What::Release, later, Some(later.plus(DAY))), (What::Destroy, later, None)]
    );
}

#[test]
fn snapshots_to_come_relieve_the_newest() {
    let ages = [(DAY, true)];
    // Without a schedule it stays the newest, and stays.
    assert_eq!(steps("", &ages, 3 * DAY), [(What::Stay, NOW.plus(DAY), None)]);
    let with = steps("snapshot-period = \"1d\"", &ages, 3 * DAY);
    assert_eq!(
        with,
        [(What::Take, NOW, None), (What::Release, NOW.plus(DAY), None), (What::Destroy, NOW.plus(2 * DAY), None)]
    );
}

#[test]
fn what_is_kept_and_not_held_is_held() {
    assert_eq!(steps("", &[(DAY, false)], 0), [(What::Hold, NOW, None)]);
    assert_eq!(steps("hold = false", &[(DAY, false)], 0), []);
}

#[test]
fn without_a_prune_period_nothing_goes() {
    assert_eq!(steps("prune-period = \"never\"", &[(3 * DAY, true), (DAY, true)], 0), [(What::Stay, NOW, None)]);
}

#[test]
fn the_notes_of_zamd_prune_say_when_the_grace_ends() {
    let config = config("");
    let (dataset, entry) = (dataset(&[(3 * DAY, false), (DAY, true)]), &config.entries[0]);
    let began = NOW.plus(-3600);
    let fresh = Remembered::default().both(entry).1;
    let prune = Assessment::new(&dataset, entry, &fresh, began).observe();
    let remembered = Remembered { snap: None, prune: Some(prune) };
    let steps = |at| forecast(&dataset, entry, &remembered, NOW, at).steps;
    assert_eq!(steps(NOW)[0].destroyed_after, Some(began.plus(DAY)));
    let destroyed = steps(NOW.plus(DAY)).into_iter().find(|step| step.what == What::Destroy).unwrap();
    assert_eq!(destroyed.when, began.plus(DAY));
}

#[test]
fn a_paused_dataset_gets_nothing_and_loses_nothing() {
    let config = config("snapshot-period = \"1d\"");
    let paused = DatasetNotes { paused: Some(NOW), ..DatasetNotes::default() };
    let remembered = Remembered { snap: Some(paused), prune: None };
    let seen = forecast(&dataset(&[(3 * DAY, true), (DAY, true)]), &config.entries[0], &remembered, NOW, NOW);
    assert!(seen.paused && seen.next_snapshot.is_none());
    assert!(seen.steps.iter().all(|step| step.what == What::Stay), "{seen:?}");
}
