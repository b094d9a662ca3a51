//! `hook`: what an admin's program does before and after an entry's snapshots.

use super::{
    Entry,
    decode::{block, read, span, text, word},
    destination::plain,
    findings::Findings,
    inherit::Draft,
    node::Node,
    schema,
};
use crate::{Span, Unit};
use std::collections::BTreeMap;

/// A program that is run before and after snapshots, by systemd and not by zam.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name: that of its socket and of its program.
    pub name: String,
    /// How long it may take, before and after.
    pub timeout: Span,
    /// What becomes of the snapshot when it fails before.
    pub on_failure: OnFailure,
}

/// What becomes of a snapshot that its hook did not prepare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is taken all the same, and zam remembers what it is.
    #[default]
    Take,
    /// It is not taken.
    Skip,
}

/// Decodes a hook; an empty block is none.
pub(super) fn hook(node: &Node, out: &mut Findings<'_>) -> Option<Hook> {
    let table = block(node, "a block, such as { name = \"postgres\" }", out)?;
    schema::refuse_unknown(table, schema::HOOK, out);
    if table.0.is_empty() {
        return None;
    }
    if table.get("name").is_none() {
        out.error_with(node.at, "this hook has no `name`", "write name = \"postgres\" for /etc/zam/hooks/postgres");
    }
    let skips = read(table, "on-failure", out, |node, out| word(node, &["take", "skip"], out)) == Some("skip");
    Some(Hook {
        timeout: read(table, "timeout", out, timeout).or_else(|| Span::new(30, Unit::Second))?,
        on_failure: if skips { OnFailure::Skip } else { OnFailure::Take },
        name: read(table, "name", out, name)?,
    })
}

/// One name is one program: entries that have it ask for it together.
pub(super) fn check(entries: &[(&Draft, &Entry)], out: &mut Findings<'_>) {
    let mut known: BTreeMap<&str, (&Entry, &Hook)> = BTreeMap::new();
    for (draft, entry) in entries {
        let Some(hook) = &entry.hook else { continue };
        let (other, first) = *known.entry(&hook.name).or_insert((entry, hook));
        if first != hook {
            let what = format!("the hook {} differs from that of {} ({})", hook.name, other.source, other.place);
            let at = draft.keys.get("hook").map_or(draft.at, |node| node.at);
            out.error_with(at, what, "write the same `timeout` and `on-failure` in both, or another name");
        }
    }
}

/// It becomes a part of the names of a socket, a unit and a program.
fn name(node: &Node, out: &mut Findings<'_>) -> Option<String> {
    let written = text(node, "the name of a hook, such as \"postgres\"", out)?;
    let fits = plain(written, "-_") && written.len() <= LONGEST_NAME;
    if !fits {
        out.error(
            node.at,
            format!("{written:?} is no name for a hook: at most {LONGEST_NAME} letters, digits and `-_`"),
        );
    }
    fits.then(|| written.to_owned())
}

fn timeout(node: &Node, out: &mut Findings<'_>) -> Option<Span> {
    let span = span(node, out)?;
    let fits = span.approximate_seconds() <= LONGEST;
    if !fits {
        out.error_with(node.at, "a database does not wait for so long", "at most \"5m\"");
    }
    fits.then_some(span)
}

const LONGEST_NAME: usize = 32;
const LONGEST: i64 = 300;
