//! What somebody asked for, from the order to its last word.

use crate::Send;
use std::{cell::RefCell, rc::Rc};
use zam_protocol::JobId;
use zam_runtime::keeper::Shared;

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
        let (done, failed) = (self.done.take(), self.failed.take());
        let ended = if failed.is_empty() {
            Ok(done)
        } else {
            Err(failed.into_iter().chain(done).collect::<Vec<_>>().join("; "))
        };
        self.shared.end(self.job, ended);
    }
}
