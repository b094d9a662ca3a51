//! The desk behind the doors: shows, and takes in that people know.

use crate::{Watch, now};
use std::rc::Rc;
use tarpc::context::Context;
use zam_names::DatasetName;
use zam_protocol::{
    Hello, Page, Peer, PoolStatus, Refused, Role,
    watch::{self, AlarmPage, WatchStatus},
};
use zam_runtime::keeper::{Shared, chain};

/// What answers one connection.
#[derive(Clone)]
pub struct Desk {
    pub shared: Rc<Shared<Watch>>,
    pub peer: Peer,
}

impl watch::Watch for Desk {
    async fn hello(self, _: Context) -> Hello {
        self.shared.hello(Role::Watch)
    }

    async fn status(self, _: Context, after: Option<DatasetName>) -> Page<WatchStatus> {
        self.shared.page(after.as_ref())
    }

    async fn pools(self, _: Context) -> Vec<PoolStatus> {
        self.shared.pools()
    }

    async fn alarms(self, _: Context, skip: u32) -> AlarmPage {
        let Some(kept) = self.shared.common.kept() else { return AlarmPage::default() };
        let kept = kept.borrow();
        AlarmPage::of(kept.get().board.standing().skip(skip as usize).cloned())
    }

    async fn acknowledge(self, _: Context) -> Result<u32, Refused> {
        let failed = |why| Refused::Failed { what: "writing down that it is known".to_owned(), why };
        let kept = self.shared.common.kept().ok_or_else(|| failed("the notes are not open".to_owned()))?;
        let mut kept = kept.borrow_mut();
        let known = kept.get_mut().board.acknowledge(now());
        kept.save().map_err(|error| failed(chain(&error)))?;
        tracing::info!(uid = self.peer.uid, known, "uid {} knows of all that is wrong now", self.peer.uid);
        Ok(u32::try_from(known).unwrap_or(u32::MAX))
    }
}
