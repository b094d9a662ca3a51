//! The post: what is to be delivered, tried again until it is or a day has passed, one way independent of the other.

use crate::{
    Watch,
    deliver::{DELIVER, Delivery},
    now,
};
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, collections::BTreeMap, fmt, rc::Rc, time::Duration};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use zam_names::UnixTime;
use zam_policy::{
    alarm::{Alarm, Board, Key, Kind, Level, Message, News, Source, Trouble},
    config,
};
use zam_runtime::{keeper::Shared, worker::Helper};

/// How a message goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// `mail`
    Mail,
    /// `webhook`
    Webhook,
    /// `program`
    Program,
    /// `ping`, which carries no message
    Ping,
}

/// A message under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    way: Way,
    message: Message,
    since: UnixTime,
    next: UnixTime,
    tries: u32,
}

/// What is known of the ways while the daemon runs.
#[derive(Debug, Default)]
pub struct Post {
    /// What last went wrong with each, since it last went well.
    wrong: RefCell<BTreeMap<Way, String>>,
    /// When the last ping was tried.
    pinged: RefCell<Option<UnixTime>>,
}

/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often the post looks whether something is due, in this share of a beat.
const LOOKS: u32 = 2;
/// How long a message is tried, in seconds, and the longest pause between two tries.
const KEPT: i64 = 86_400;
const LONGEST_PAUSE: i64 = 3600;
/// So many messages wait at most.
const MOST: usize = 200;
/// For how many seconds a way may fail before that is an alarm itself.
const FAILING: i64 = 120;

/// Takes in a message for each way that the config has.
pub fn take(shared: &Shared<Watch>, message: &Message, now: UnixTime) {
    let Some(kept) = shared.common.kept() else { return };
    let config = shared.config();
    let watch = &config.watch;
    let has = [
        (Way::Mail, watch.mail.is_some()),
        (Way::Webhook, watch.webhook.is_some()),
        (Way::Program, !watch.program.is_empty()),
    ];
    let mut kept = kept.borrow_mut();
    let outbox = &mut kept.get_mut().outbox;
    for (way, _) in has.into_iter().filter(|(_, has)| *has) {
        // Also that the way itself does not work: it shows when it does again.
        outbox.push(Parcel { way, message: message.clone(), since: now, next: now, tries: 0 });
    }
    let surplus = outbox.len().saturating_sub(MOST);
    outbox.drain(..surplus);
}

/// Delivers until told to stop, each way by itself: one that hangs holds up no other.
pub async fn keep(shared: Rc<Shared<Watch>>, way: Way, stop: CancellationToken) {
    loop {
        if let Err(why) = attend(&shared, way, now()).await {
            tracing::warn!("{way} does not work: {why}");
            shared.common.post.wrong.borrow_mut().insert(way, why);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(shared.common.beat() / LOOKS) => {}
        }
    }
}

/// Tries what is due on this way.
async fn attend(shared: &Shared<Watch>, way: Way, now: UnixTime) -> Result<(), String> {
    if way == Way::Ping {
        return ping(shared, now).await;
    }
    let Some(kept) = shared.common.kept() else { return Ok(()) };
    let due = kept.borrow().get().outbox.iter().find(|parcel| parcel.way == way && parcel.is_due(now)).cloned();
    let Some(parcel) = due else { return Ok(()) };
    let Some(delivery) = packed(shared, &parcel) else {
        // The config has no such way any more.
        change(shared, &parcel, |_| None);
        shared.common.post.wrong.borrow_mut().remove(&way);
        return Ok(());
    };
    let delivered = send(&delivery).await;
    change(shared, &parcel, |parcel| match delivered {
        Ok(()) => None,
        Err(_) => parcel.again(now),
    });
    delivered.map(|()| drop(shared.common.post.wrong.borrow_mut().remove(&way)))
}

/// Says that all is well, if so.
async fn ping(shared: &Shared<Watch>, now: UnixTime) -> Result<(), String> {
    let Some(ping) = shared.config().watch.ping.clone() else {
        shared.common.post.wrong.borrow_mut().remove(&Way::Ping);
        return Ok(());
    };
    let well = |kept: &crate::Kept| is_well(&kept.board);
    let all_is_well = shared.common.looked.get() && shared.common.kept().is_some_and(|kept| well(kept.borrow().get()));
    let period = ping.period.approximate_seconds();
    let recent = |at: UnixTime| (0..period).contains(&now.since(at));
    if !all_is_well || shared.common.post.pinged.borrow().is_some_and(recent) {
        return Ok(());
    }
    *shared.common.post.pinged.borrow_mut() = Some(now);
    send(&Delivery::Ping { url: ping.url }).await?;
    shared.common.post.wrong.borrow_mut().remove(&Way::Ping);
    Ok(())
}

/// Whether nothing is wrong that nobody knows of. That pings do not arrive ends with one that does.
fn is_well(board: &Board) -> bool {
    let own = |alarm: &Alarm| alarm.key.kind == Kind::Undelivered && alarm.key.place == Way::Ping.to_string();
    board.standing().all(|alarm| alarm.known.is_some() || own(alarm))
}

async fn send(delivery: &Delivery) -> Result<(), String> {
    // Dropped at the end, and killed with all that it started.
    let (mut helper, _output) =
        Helper::start(&["task", DELIVER]).map_err(|error| format!("cannot start what delivers: {error}"))?;
    match timeout(PATIENCE, helper.ask::<_, Result<(), String>>(delivery)).await {
        Ok(Ok(delivered)) => delivered,
        Ok(Err(error)) => Err(format!("what delivers died: {error}")),
        Err(_) => Err(format!("it took longer than {} s", PATIENCE.as_secs())),
    }
}

/// Puts something else in the place of a parcel, if it is still there.
fn change(shared: &Shared<Watch>, parcel: &Parcel, change: impl FnOnce(Parcel) -> Option<Parcel>) {
    let Some(kept) = shared.common.kept() else { return };
    let mut kept = kept.borrow_mut();
    let outbox = &mut kept.get_mut().outbox;
    let Some(place) = outbox.iter().position(|one| one == parcel) else { return };
    match change(outbox.remove(place)) {
        Some(changed) => outbox.insert(place, changed),
        None => tracing::debug!("a message is off the list of {}", parcel.way),
    }
}

impl Parcel {
    /// Whether it is to be tried: also where the clock was ahead when that was put off.
    fn is_due(&self, now: UnixTime) -> bool {
        self.next <= now || now < self.since || self.next.since(now) > LONGEST_PAUSE
    }

    /// To be tried again, later each time; none if it was tried for a day.
    fn again(self, now: UnixTime) -> Option<Self> {
        if now.since(self.since) >= KEPT {
            tracing::error!("given up after a day: a message by {}", self.way);
            return None;
        }
        let pause = (15_i64 << self.tries.min(8)).min(LONGEST_PAUSE);
        Some(Self { tries: self.tries + 1, next: now.plus(pause), ..self })
    }
}

/// A message as it goes out; none if the config does not have this way.
fn packed(shared: &Shared<Watch>, parcel: &Parcel) -> Option<Delivery> {
    let (config, message, host) = (shared.config(), &parcel.message, &shared.host);
    let json = || serde_json::to_string(&Json::of(message, host)).ok();
    let config::Watch { mail, webhook, program, .. } = &config.watch;
    match parcel.way {
        Way::Mail => Some(Delivery::Mail {
            mail: mail.clone()?,
            host: host.clone(),
            subject: message.subject(host),
            text: message.text(&config.timezone),
        }),
        Way::Webhook => Some(Delivery::Webhook { url: webhook.clone()?, json: json()? }),
        Way::Program if program.is_empty() => None,
        Way::Program => Some(Delivery::Program { words: program.clone(), json: json()? }),
        Way::Ping => None,
    }
}

/// What is wrong with the ways.
pub fn troubles(shared: &Shared<Watch>) -> Vec<Trouble> {
    let wrong = shared.common.post.wrong.borrow();
    let trouble = |(way, why): (&Way, &String)| Trouble {
        key: Key::new(Kind::Undelivered, way, way),
        source: Source::Watch,
        text: format!("it does not work: {why}"),
        patience: FAILING,
    };
    wrong.iter().map(trouble).collect()
}

/// A message for programs; the names stay.
#[derive(Serialize)]
struct Json<'a> {
    host: &'a str,
    news: News,
    level: Level,
    subject: String,
    alarms: Vec<JsonAlarm<'a>>,
}

#[derive(Serialize)]
struct JsonAlarm<'a> {
    kind: Kind,
    place: &'a str,
    about: &'a str,
    text: &'a str,
    todo: String,
    /// Seconds since 1970.
    since: i64,
}

impl<'a> Json<'a> {
    fn of(message: &'a Message, host: &'a str) -> Self {
        let alarms = message.alarms.iter().map(|alarm| JsonAlarm {
            kind: alarm.key.kind,
            place: &alarm.key.place,
            about: &alarm.key.about,
            text: &alarm.text,
            todo: alarm.key.todo(),
            since: alarm.since.0,
        });
        let level = message.alarms.iter().map(|alarm| alarm.key.kind.level()).max().unwrap_or(Level::Warning);
        Self { host, news: message.news, level, subject: message.subject(host), alarms: alarms.collect() }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Program => "program",
            Self::Ping => "ping",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use zam_policy::alarm::{Look, Rules};

    fn message() -> Message {
        let alarm = Alarm {
            key: Key::new(Kind::Stale, "tank", "tank/a"),
            source: Source::Watch,
            text: "no good snapshot for 3 h".into(),
            since: UnixTime(60),
            raised: Some(UnixTime(60)),
            told: None,
            known: None,
        };
        Message { news: News::Begins, alarms: vec![alarm] }
    }

    #[test]
    fn a_ping_that_did_not_arrive_does_not_keep_the_next_one_back() {
        let trouble = |way: Way| Trouble {
            key: Key::new(Kind::Undelivered, way, way),
            source: Source::Watch,
            text: String::new(),
            patience: 0,
        };
        for (way, well) in [(Way::Ping, true), (Way::Mail, false)] {
            let mut board = Board::default();
            let look = Look { troubles: vec![trouble(way)], ..Look::default() };
            let told = board.look(look, UnixTime(0), Rules { repeat: None, bundle: 0 });
            assert_eq!((told.len(), is_well(&board)), (1, well), "{way}");
        }
    }

    #[test]
    fn it_is_tried_ever_more_rarely_and_for_a_day() {
        let mut parcel = Parcel { way: Way::Mail, message: message(), since: UnixTime(0), next: UnixTime(0), tries: 0 };
        let (mut now, mut pauses) = (UnixTime(0), Vec::new());
        while let Some(again) = parcel.clone().again(now) {
            pauses.push(again.next.since(now));
            now = again.next;
            parcel = again;
        }
        assert_eq!(pauses[..4], [15, 30, 60, 120]);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE) && now.0 >= KEPT, "{pauses:?}");
        assert!(pauses.len() < 40, "{}", pauses.len());
    }

    #[test]
    fn the_json_keeps_its_names() {
        let json: serde_json::Value = serde_json::to_value(Json::of(&message(), "nas")).unwrap();
        let todo = json["alarms"][0]["todo"].clone();
        assert_eq!(
            json,
            serde_json::json!({
                "host": "nas", "news": "begins", "level": "critical",
                "subject": "[zam] nas: critical: tank/a: no good snapshot for 3 h",
                "alarms": [{ "kind": "stale", "place": "tank", "about": "tank/a", "text": "no good snapshot for 3 h", "todo": todo, "since": 60 }],
            })
        );
    }
}
