//! How fresh things are, by listings alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use pretty_assertions::assert_eq;
use world::{World, at};
use zam_names::{Bookmark, HOLD_TAG, Snapshot, UnixTime};
use zam_policy::{
    Zone,
    alarm::Kind,
    config::{self, Config},
    copy::{bookmark_tag, date_of},
    fresh::{self, Sights},
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn config(text: &str) -> Config {
    match config::load(&[("zam.toml".to_owned(), text.to_owned())], &Zone::utc()) {
        Ok((config, _)) => config,
        Err(errors) => panic!("{errors}"),
    }
}

struct Eye {
    config: Config,
    world: World,
    bookmarks: Vec<Bookmark>,
    sights: Sights,
}

impl Eye {
    fn new(text: &str) -> Self {
        let config = config(text);
        let world = World::new(config.entries[0].clone(), at("2026-01-01T00:00:00Z"));
        Self { config, world, bookmarks: Vec::new(), sights: Sights::default() }
    }

    /// What is wrong now, and for how long that may be.
    fn look(&mut self) -> Vec<(Kind, String, i64)> {
        let now = self.world.now;
        let seen = fresh::look(&self.config, &self.world.dataset, &self.bookmarks, &mut self.sights, now).unwrap();
        seen.troubles(now).into_iter().map(|found| (found.key.kind, found.text, found.patience)).collect()
    }

    fn kinds(&mut self) -> Vec<Kind> {
        self.look().into_iter().map(|(kind, ..)| kind).collect()
    }

    fn later(&mut self, seconds: i64) {
        self.world.now = self.world.now.plus(seconds);
    }

    /// zamd-send has sent the newest.
    fn send(&mut self) {
        let newest: Snapshot = self.world.dataset.snapshots.last().unwrap().clone();
        let tag = bookmark_tag(self.config.entries[0].destinations[0].id(), &newest.tag).unwrap();
        assert_eq!(date_of(&tag, "zam"), Some(newest.creation));
        let name = format!("tank/a#{tag}").parse().unwrap();
        self.bookmarks.push(Bookmark { name, guid: newest.guid, createtxg: newest.createtxg });
    }
}

const OWN: &str = "[[managed-datasets]]\nsource = \"tank/a\"\nsnapshot-period = \"1h\"\n";
const REPLICA: &str = "[[replicas]]\nclient = \"laptop\"\nroot = \"tank/a\"\nstale-after = \"2d\"\n";

#[test]
fn a_dataset_is_stale_after_three_periods_or_as_configured() {
    for (more, after) in [("", 3 * HOUR), ("stale-after = \"2d\"\n", 2 * DAY)] {
        let mut eye = Eye::new(&format!("{OWN}{more}"));
        assert_eq!(eye.look(), [(Kind::Stale, "no good snapshot yet".to_owned(), after)]);
        eye.world.take();
        eye.later(after);
        assert_eq!(eye.look(), []);
        eye.later(1);
        assert_eq!(eye.kinds(), [Kind::Stale]);
        eye.world.take();
        assert_eq!(eye.look(), []);
    }
    let mut never = Eye::new(&format!("{OWN}stale-after = \"never\"\n"));
    assert_eq!(never.look(), []);
}

#[test]
fn other_peoples_snapshots_do_not_count_unless_they_are_adopted() {
    for (more, kinds) in [("", vec![Kind::Stale]), ("adopt = [\"autosnap*\"]\n", vec![])] {
        let mut eye = Eye::new(&format!("{OWN}{more}"));
        eye.world.take();
        eye.later(DAY);
        let now = eye.world.now;
        eye.world.appear("autosnap-1", now);
        assert_eq!(eye.kinds(), kinds);
    }
}

/// R-WATCH-1: a role that was taken over makes snapshots in advance, and then none.
#[test]
fn snapshots_that_are_named_for_the_future_do_not_stay_fresh() {
    let mut eye = Eye::new(OWN);
    for hour in 0..48 {
        let ahead = eye.world.now.plus(hour * HOUR);
        let tag = zam_policy::tags::scheduled("zam", ahead).unwrap();
        eye.world.appear(tag.as_str(), ahead);
    }
    assert_eq!(eye.look(), []);
    eye.later(3 * HOUR);
    assert_eq!(eye.look(), []);
    eye.later(1);
    assert_eq!(eye.kinds(), [Kind::Stale], "by when the newest was first seen");
}

#[test]
fn a_replica_is_quiet_by_arrivals_and_not_by_the_dates_of_strangers() {
    let mut eye = Eye::new(REPLICA);
    assert_eq!(eye.look(), [], "what only stands above copies gets none");
    let roots = |arrived| fresh::empty_roots(&eye.config, &"tank".parse().unwrap(), |_| arrived, UnixTime(0));
    assert_eq!((roots(false).len(), roots(false)[0].patience, roots(true).len()), (1, 2 * DAY, 0));
    eye.world.appear("zam-20990101T000000Z", at("2099-01-01T00:00:00Z"));
    assert_eq!(eye.look(), []);
    eye.later(2 * DAY + 1);
    assert_eq!(eye.kinds(), [Kind::Quiet]);
    let now = eye.world.now;
    eye.world.appear("whatever", now.plus(-HOUR));
    assert_eq!(eye.look(), []);
    let mut retired = Eye::new(&format!("{REPLICA}retired = \"2025-12-31\"\n"));
    assert_eq!(retired.look(), [], "who is retired is not waited for");
}

#[test]
fn a_copy_is_behind_by_what_waits_to_be_sent() {
    let to = "destinations = [{ remote-host = \"olympus\", stale-after = \"5d\" }]\nstale-after = \"never\"\n";
    let mut eye = Eye::new(&format!("{OWN}{to}"));
    eye.world.take();
    assert_eq!(eye.look(), [(Kind::Behind, "nothing was ever copied there".to_owned(), 5 * DAY)]);
    eye.send();
    eye.later(30 * DAY);
    assert_eq!(eye.look(), [], "nothing new, nothing to send");
    eye.world.take();
    eye.later(5 * DAY);
    assert_eq!(eye.look(), []);
    eye.later(1);
    assert_eq!(eye.look()[0].1, "the copy was not updated for 5 days");
    eye.send();
    assert_eq!(eye.look(), []);
    // A name out of the future does not make it look as if it waited for nothing.
    eye.world.appear("zam-20990101T000000Z", eye.world.now);
    eye.later(5 * DAY + 1);
    assert_eq!(eye.look()[0].1, "the copy was not updated for 5 days");
}

#[test]
fn a_disk_in_the_drawer_is_not_waited_for_unless_somebody_says_so() {
    let raw = ", stale-after = \"5d\", raw = true";
    for (more, kinds) in [("", vec![]), (", stale-after = \"5d\"", vec![Kind::Behind]), (raw, vec![Kind::Behind])] {
        let to =
            format!("destinations = [{{ pool = \"usb\", absent = \"expected\"{more} }}]\nstale-after = \"never\"\n");
        let mut eye = Eye::new(&format!("{OWN}{to}"));
        eye.world.take();
        assert_eq!(eye.kinds(), kinds);
    }
}

#[test]
fn marks_and_missing_holds_are_seen() {
    let mut eye = Eye::new(OWN);
    let first = eye.world.take();
    let second = eye.world.take();
    assert_eq!(eye.look(), []);
    eye.world.snapshot(first).deferred = true;
    eye.world.unhold(second, HOLD_TAG);
    assert_eq!(eye.kinds(), [Kind::Marked, Kind::Unheld]);
    let unprotected = config(&format!("{OWN}hold = false\n"));
    eye.config = unprotected;
    assert_eq!(eye.kinds(), [Kind::Marked]);
}

#[test]
fn a_hold_where_no_entry_is_gets_noticed() {
    let mut eye = Eye::new(OWN);
    eye.world.take();
    assert_eq!(fresh::stray(&eye.config, &eye.world.dataset), None);
    let elsewhere = config(&OWN.replace("tank/a", "tank/b"));
    assert_eq!(fresh::stray(&elsewhere, &eye.world.dataset).unwrap().key.kind, Kind::Stray);
    let mut sights = Sights::default();
    assert_eq!(fresh::look(&elsewhere, &eye.world.dataset, &[], &mut sights, UnixTime(0)), None);
}
