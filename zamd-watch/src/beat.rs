//! The beat: all that is known is judged, alarms begin and end, and what is to be told is told.

use crate::{Kept, Watch, ears, failed, judge, login, now, post};
use std::{rc::Rc, time::Duration};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use zam_names::{PoolName, UnixTime};
use zam_policy::{
    Span,
    alarm::{Look, Rules},
};
use zam_protocol::{Role, WorkerState};
use zam_runtime::keeper::{Shared, chain};

/// A daemon or a pool that does not answer for so many beats is told.
const BEATS_DOWN: u32 = 6;
/// How long a bundle takes, in seconds.
const BUNDLE: i64 = 300;
/// How long what was only seen may be unwritten.
const UNWRITTEN: Duration = Duration::from_secs(600);

/// Beats until told to stop.
pub async fn keep(shared: Rc<Shared<Watch>>, stop: CancellationToken) {
    let mut written = Written::default();
    loop {
        let config = shared.config().clone();
        let heard = ears::listen(&config, &shared.runtime_dir).await;
        shared.common.ears.borrow_mut().take(heard);
        beat(&shared, &mut written, now());
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(shared.common.beat()) => {}
        }
    }
}

/// What was last put down, so that nothing is written twice.
#[derive(Default)]
struct Written {
    kept: Option<(Kept, Instant)>,
    login: Option<String>,
}

fn beat(shared: &Shared<Watch>, written: &mut Written, now: UnixTime) {
    let Some(kept) = shared.common.kept() else { return };
    let repeat = shared.config().watch.repeat.map(Span::approximate_seconds);
    let rules = Rules { repeat, bundle: BUNDLE };
    let look = look(shared, now);
    let complete = look.unheard.is_empty();
    shared.common.looked.set(complete);
    let messages = kept.borrow_mut().get_mut().board.look(look, now, rules);
    for message in &messages {
        // To the journal first: what else there is may not work.
        tracing::warn!("{}", message.subject(&shared.host));
        post::take(shared, message, now);
    }
    let lands = shared.common.lands.borrow();
    // What was not looked at yet, or is away, may have all that was seen.
    if complete && shared.pools().iter().all(|pool| lands.contains_key(&pool.name)) {
        kept.borrow_mut().get_mut().sights.keep(|guid| lands.values().any(|land| land.datasets.contains(&guid)));
    }
    save(shared, written);
    let text = login::text(kept.borrow().get().board.standing(), &shared.config().timezone);
    if written.login.as_ref() != Some(&text) {
        match login::write(&shared.runtime_dir, &text) {
            Ok(()) => written.login = Some(text),
            Err(error) => tracing::error!(%error, "cannot write what log-in shells are to say"),
        }
    }
}

/// Everything that is known.
fn look(shared: &Shared<Watch>, now: UnixTime) -> Look {
    let (config, pools) = (shared.config(), shared.pools());
    let patience = i64::from(BEATS_DOWN) * i64::try_from(shared.common.beat().as_secs()).unwrap_or(i64::MAX).max(1);
    let away = |name: &PoolName| pools.iter().any(|pool| pool.name == *name && pool.worker == WorkerState::Absent);
    let lands = shared.common.lands.borrow();
    // What is in the drawer is not looked at, and not missed either.
    let listed = lands.iter().filter(|(pool, _)| pools.iter().any(|one| one.name == **pool) && !away(pool));
    let own = Look {
        troubles: failed::troubles(&shared.folder.join("failed"), now)
            .into_iter()
            .chain(post::troubles(shared))
            .chain(judge::itself(Role::Watch, &shared.hello(Role::Watch)))
            .chain(listed.flat_map(|(_, land)| land.troubles.clone()))
            .collect(),
        ..Look::default()
    };
    let others = judge::others(&shared.common.ears.borrow(), &config, patience, now);
    judge::join([own, judge::pools(&pools, |name| lands.contains_key(name), &config, patience), others])
}

/// Writes down what must be remembered: alarms at once, what was merely seen now and then.
fn save(shared: &Shared<Watch>, written: &mut Written) {
    let Some(kept) = shared.common.kept() else { return };
    let mut kept = kept.borrow_mut();
    let fresh = written.kept.as_ref().is_some_and(|(old, at)| {
        old.board == kept.get().board
            && old.outbox == kept.get().outbox
            && (old.sights == kept.get().sights || at.elapsed() < UNWRITTEN)
    });
    if fresh {
        return;
    }
    match kept.save() {
        Ok(()) => written.kept = Some((kept.get().clone(), Instant::now())),
        Err(error) => tracing::error!("cannot write the alarms down: {}", chain(&error)),
    }
}
