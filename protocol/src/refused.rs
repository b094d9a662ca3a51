//! Why a daemon did not do what it was asked: who, what, and what next.

use crate::{Door, Need, Role};
use serde::{Deserialize, Serialize};
use zam_names::DatasetName;

/// A request that was understood and not taken on. Variants are only ever appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// The peer is not one of those who may ask this.
    #[error("user {uid} may not ask {role} for `{request}` through its {door} door: {}", remedy(*.need, *.door))]
    NotPermitted {
        /// The method's name.
        request: String,
        /// Who was asked.
        role: Role,
        /// The door through which it came.
        door: Door,
        /// Who asked, as the kernel says.
        uid: u32,
        /// Who may.
        need: Need,
    },
    /// No entry of the config covers the dataset.
    #[error(
        "{dataset} is not managed: no enabled entry of the config covers it. Add one and reload, \
         or see `zamctl check --print-effective` for what is covered"
    )]
    NotManaged {
        /// The dataset.
        dataset: DatasetName,
    },
    /// There is nothing of that name, or not with that identity any more.
    #[error("there is no {name}{}; see `zamctl status` for what there is", because(.why))]
    NotFound {
        /// What was looked for: a dataset, `dataset@snapshot`, a job, a plan.
        name: String,
        /// What is known of it, or empty.
        why: String,
    },
    /// Not now.
    #[error("{what} is busy: {why}. Try again later")]
    Busy {
        /// The pool, dataset or daemon.
        what: String,
        /// What keeps it busy.
        why: String,
    },
    /// What was asked for makes no sense here.
    #[error("{what}: {why}")]
    Invalid {
        /// The request or the part of it.
        what: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// It was tried and did not work.
    #[error("{what} failed: {why}")]
    Failed {
        /// What was tried.
        what: String,
        /// What went wrong.
        why: String,
    },
}

fn remedy(need: Need, door: Door) -> &'static str {
    match (need, door) {
        (Need::Anybody, _) => "try again",
        (Need::Peer, _) => "zam-receive may, through the peer door",
        (Need::Operator, Door::Status | Door::Peer | Door::Stream) => {
            "this door only answers. Members of group zam-operators may, through the control door"
        }
        (Need::Root, Door::Status | Door::Peer | Door::Stream) => {
            "this door only answers. Root may, through the control door"
        }
        (Need::Operator, Door::Control) => {
            "root and the people in group zam-operators may, never the user of one of zam's own roles. \
             Run it as one of them"
        }
        (Need::Root, Door::Control) => "root alone may. Run it with sudo",
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_refusal_says_who_what_and_what_next() {
        let refused = Refused::NotPermitted {
            request: "unhold".into(),
            role: Role::Snap,
            door: Door::Control,
            uid: 1000,
            need: Need::Root,
        };
        assert_eq!(
            refused.to_string(),
            "user 1000 may not ask zamd-snap for `unhold` through its control door: root alone may. Run it with sudo"
        );
        let refused = Refused::NotFound { name: "tank/a@b".into(), why: "it has another GUID now".into() };
        assert!(refused.to_string().starts_with("there is no tank/a@b (it has another GUID now);"));
    }
}
