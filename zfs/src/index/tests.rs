use super::*;
use crate::door::Grant;
use crate::sim::{Admin, Sim};
use pretty_assertions::assert_eq;
use std::cell::RefCell;
use zam_names::{Bookmark, Pool};

/// The simulated pool, with a note of every question.
struct Counting {
    sim: Sim,
    asked: RefCell<Vec<String>>,
}

impl Counting {
    fn note(&self, what: &str, names: &[impl ToString]) {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        self.asked.borrow_mut().push(format!("{what} {}", names.join(" ")));
    }
}

impl Lister for Counting {
    fn pools(&self) -> Result<Vec<Pool>, Error> {
        self.sim.pools()
    }
    fn datasets(&self, pool: &PoolName) -> Result<Vec<Dataset>, Error> {
        self.sim.datasets(pool)
    }
    fn snapshots(&self, scope: Scope<'_>) -> Result<Vec<Row>, Error> {
        match scope {
            Scope::Pool(pool) => self.note("pool", &[pool]),
            Scope::Datasets(names) => self.note("list", names),
        }
        self.sim.snapshots(scope)
    }
    fn details(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Snapshot)>, Error> {
        self.note("details", names);
        self.sim.details(names)
    }
    fn holds(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Vec<HoldTag>)>, Error> {
        self.note("holds", names);
        self.sim.holds(names)
    }
    fn bookmarks(&self, pool: &PoolName) -> Result<Vec<Bookmark>, Error> {
        self.sim.bookmarks(pool)
    }
    fn copy_facts(&self, scope: Scope<'_>) -> Result<Vec<crate::CopyFacts>, Error> {
        self.sim.copy_facts(scope)
    }
    fn properties(&self, dataset: &DatasetName, names: &[&str]) -> Result<Vec<String>, Error> {
        self.sim.properties(dataset, names)
    }
    fn grants(&self, dataset: &DatasetName) -> Result<Vec<Grant>, Error> {
        self.sim.grants(dataset)
    }
}

struct Bench {
    folder: tempfile::TempDir,
    lister: Counting,
    index: Index,
}

impl Bench {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Admin::open(folder.path()).unwrap().script(script).unwrap();
        let lister = Counting { sim: Sim::open(folder.path(), "zam-snap"), asked: RefCell::default() };
        Self { folder, lister, index: Index::new("tank".parse().unwrap()) }
    }

    fn script(&self, script: &str) {
        Admin::open(self.folder.path()).unwrap().script(script).unwrap();
    }

    /// Refreshes as if it were `later` seconds later, and tells what was asked.
    fn asked(&mut self, trust: Trust, later: i64) -> Vec<String> {
        self.lister.asked.borrow_mut().clear();
        self.index.list(&self.lister, &named_date, trust, now().plus(later)).unwrap();
        self.lister.asked.borrow().clone()
    }

    fn tags(&self, dataset: &str) -> String {
        let dataset = self.index.datasets().iter().find(|d| d.name.as_str() == dataset).unwrap();
        dataset.snapshots.iter().map(|s| s.tag.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn one(&self, tag: &str) -> Snapshot {
        let mut all = self.index.datasets().iter().flat_map(|d| &d.snapshots);
        all.find(|s| s.tag.as_str() == tag).unwrap().clone()
    }
}

/// `z7` was made at second 7.
fn named_date(tag: &SnapTag) -> Option<UnixTime> {
    tag.as_str().strip_prefix('z')?.parse().ok().map(UnixTime)
}

fn names(words: &str) -> Vec<SnapshotName> {
    words.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

const TREE: &str = "pool tank\n create tank/a\n create tank/b\n create tank/c\n create tank/d\n create tank/e
    snapshot tank/a@z5 tank/b@z5\n snapshot tank/a@mine at 1700000000\n hold zam tank/a@z5 tank/a@mine";

#[test]
fn a_first_listing_is_one_call_and_asks_little_about_names_with_a_date() {
    let mut bench = Bench::new(TREE);
    let asked = bench.asked(Trust::Stamps, 0);
    assert_eq!(asked, ["pool tank", "details tank/a@mine", "holds tank/a@z5 tank/b@z5"]);
    assert_eq!(bench.tags("tank/a"), "z5 mine");
    assert_eq!((bench.one("z5").creation, bench.one("mine").creation), (UnixTime(5), UnixTime(1_700_000_000)));
    assert!(bench.one("mine").is_held_by("zam") && bench.one("z5").is_held_by("zam"));
}

#[test]
fn what_has_settled_is_not_listed_again() {
    let mut bench = Bench::new(TREE);
    bench.asked(Trust::Stamps, 10);
    assert_eq!(bench.asked(Trust::Stamps, 10), [""; 0]);
    bench.script("snapshot tank/c@z6");
    assert_eq!(bench.asked(Trust::Stamps, 20), ["list tank/c", "holds tank/c@z6"]);
    assert_eq!(bench.asked(Trust::Stamps, 20), [""; 0]);
    assert_eq!((bench.tags("tank/a"), bench.tags("tank/c")), ("z5 mine".into(), "z6".into()));
    bench.script("clock 25\n destroy tank/b@z5");
    assert_eq!(bench.asked(Trust::Stamps, 30), ["list tank/b"]);
    assert_eq!(bench.tags("tank/b"), "");
}

#[test]
fn a_stamp_of_the_listings_own_second_is_not_trusted() {
    let mut bench = Bench::new(TREE);
    bench.asked(Trust::Stamps, 0);
    assert_eq!(bench.asked(Trust::Stamps, 10), ["list tank/a tank/b"]);
    assert_eq!(bench.asked(Trust::Stamps, 10), [""; 0]);
}

#[test]
fn a_renamed_dataset_is_listed_and_nothing_is_asked_twice() {
    let mut bench = Bench::new(TREE);
    bench.asked(Trust::Stamps, 10);
    bench.script("rename tank/a tank/new\n rename tank/new@z5 tank/new@other");
    assert_eq!(bench.asked(Trust::Stamps, 20), ["list tank/new"]);
    assert_eq!(bench.tags("tank/new"), "other mine");
    assert_eq!(bench.one("other").creation, UnixTime(5), "what is known goes with the GUID");
}

#[test]
fn a_name_that_another_snapshot_has_taken_is_asked_about() {
    let mut bench = Bench::new(TREE);
    bench.asked(Trust::Stamps, 10);
    bench.script("clock 15\n release zam tank/a@mine\n destroy tank/a@mine\n snapshot tank/a@mine at 1800000000");
    assert_eq!(bench.asked(Trust::Stamps, 20), ["list tank/a", "details tank/a@mine"]);
    assert_eq!((bench.one("mine").creation, bench.one("mine").holds), (UnixTime(1_800_000_000), vec![]));
}

#[test]
fn without_stamps_everything_is_listed_by_one_call() {
    let mut bench = Bench::new(&format!("{TREE}\n old tank"));
    bench.asked(Trust::Stamps, 10);
    bench.script("snapshot tank/c@z6");
    assert_eq!(bench.asked(Trust::Stamps, 20), ["pool tank", "holds tank/c@z6"]);
    assert_eq!(bench.tags("tank/c"), "z6");
}

#[test]
fn holds_are_noted_and_asked_again_where_it_counts() {
    let mut bench = Bench::new(TREE);
    bench.asked(Trust::Stamps, 10);
    let (zam, mine) = ("zam".parse().unwrap(), names("tank/a@mine tank/gone@x"));
    bench.index.note_released(&mine, &zam);
    assert!(!bench.one("mine").is_held_by("zam") && bench.one("z5").is_held_by("zam"));
    bench.index.note_held(&mine, &zam);
    bench.index.note_held(&mine, &zam);
    assert_eq!(bench.one("mine").holds, [zam]);
    bench.script("hold theirs tank/b@z5\n clone tank/a@z5 tank/clone\n release zam tank/a@mine\n destroy tank/a@mine");
    let Bench { index, lister, .. } = &mut bench;
    index.refresh_details(lister, &names("tank/a@z5 tank/b@z5 tank/a@mine tank/gone@x")).unwrap();
    assert_eq!((bench.tags("tank/a"), bench.one("z5").clones), ("z5".into(), 1));
    assert!(bench.index.datasets()[2].snapshots[0].is_held_by("theirs"));
}

#[test]
fn a_full_refresh_asks_about_everything() {
    let mut bench = Bench::new(TREE);
    bench.asked(Trust::Stamps, 10);
    bench.script("hold theirs tank/b@z5");
    let asked = bench.asked(Trust::Nothing, 20);
    // Marks and clones too, which no stamp tells of.
    let details = asked.iter().find(|asked| asked.starts_with("details ")).unwrap();
    assert!(["tank/a@mine", "tank/a@z5", "tank/b@z5"].iter().all(|name| details.contains(name)), "{asked:?}");
    assert!(bench.index.datasets()[2].snapshots[0].is_held_by("theirs"));
}

#[test]
fn a_failed_listing_leaves_all_as_it_was() {
    let mut bench = Bench::new(TREE);
    bench.asked(Trust::Stamps, 10);
    bench.script("exported tank");
    let Bench { index, lister, .. } = &mut bench;
    assert!(index.refresh(lister, &named_date).is_err());
    assert_eq!(bench.tags("tank/a"), "z5 mine");
}
