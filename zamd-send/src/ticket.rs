//! What somebody asked for, from the order to its last word.

use crate::Send;
use std::{cell::RefCell, rc::Rc};
use zam_protocol::JobId;
use zam_runtime::keeper::Shared;

/// So many failures are told one by one.
const TOLD: usize = 20;

/// A part of a job; when nobody has it any more, that part has ended.
pub struct Ticket {
    shared: Rc<Shared<Send>>,
    job: JobId,
    done: RefCell<Vec<String>>,
    failed: RefCell<Vec<String>>,
}

impl Ticket {
    pub fn new(shared: Rc<Shared<Send>>, job: JobId) -> Rc<Self> {
        Rc::new(Self { shared, job, done: RefCell::default(), failed: RefCell::default() })
    }

    /// Something was done.
    pub fn say(&self, line: String) {
        self.done.borrow_mut().push(line);
    }

    /// Something was not.
    pub fn fail(&self, why: String) {
        self.failed.borrow_mut().push(why);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let (mut done, mut failed) = (self.done.take(), self.failed.take());
        if std::thread::panicking() {
            failed.push("zamd-send failed at it, which is a bug; its journal says more".to_owned());
        }
        if failed.is_empty() {
            return self.shared.end(self.job, Ok(done));
        }
        if let Some(more) = failed.len().checked_sub(TOLD).filter(|more| *more > 0) {
            failed.truncate(TOLD);
            failed.push(format!("and {more} more; `zamctl status` has them all"));
        }
        if let Some(more) = done.len().checked_sub(TOLD).filter(|more| *more > 0) {
            done.truncate(TOLD);
            done.push(format!("and {more} more were sent"));
        }
        failed.append(&mut done);
        self.shared.end(self.job, Err(failed.join("; ")));
    }
}
