//! A [`Land`] as the text of a config.

use super::{
    Tool,
    land::{Care, Entry, Goal, Land, Replica},
    text::Note,
};
use std::{collections::BTreeSet, fmt::Write as _};
use zam_names::DatasetName;
use zam_policy::Tier;

impl Land {
    /// The config.
    #[must_use]
    pub fn text(&self, tool: Tool, adopt: bool) -> String {
        let mut text = format!(
            "# What {0} does, as a config of zam. Where zam and {0} differ, a comment names the line.\n\
             # Read it; `zamctl check --config FILE` looks at it again. Stop {0} before zamd-snap starts:\n\
             #    {1}\n",
            tool.name(),
            tool.ends()
        );
        text += &if adopt {
            format!("# {0}'s own snapshots are adopted: they compete in the windows below, and expire.\n", tool.name())
        } else {
            format!(
                "# {0}'s own snapshots are nobody's from then on: zam never destroys them. With `--adopt` the windows thin them.\n",
                tool.name()
            )
        };
        for remark in &self.remarks {
            let _ = writeln!(text, "# {remark}");
        }
        text += &comments(&self.notes, "\n");
        let entries = self.entries();
        let mut written: Vec<(&DatasetName, bool, Keys)> = Vec::new();
        for entry in &entries {
            let above = |(source, recursive, _): &&(&DatasetName, bool, Keys)| {
                *recursive && entry.source.below(source).is_some_and(|path| !path.is_empty())
            };
            let displaced = written.iter().filter(above).max_by_key(|(source, ..)| source.as_str().len());
            let (lines, keys) = block(entry, displaced.map(|(.., keys)| keys));
            text += &lines;
            written.push((entry.source, entry.recursive, keys));
        }
        for replica in &self.replicas {
            text += &replica.text();
        }
        text
    }
}

/// The keys that an entry hands down, with their values.
type Keys = [(&'static str, String); 7];

fn block(entry: &Entry<'_>, displaced: Option<&Keys>) -> (String, Keys) {
    let defaults = keys(false, false, &Care::default());
    let inherited = displaced.unwrap_or(&defaults);
    let keys = match &entry.care {
        Some(care) => keys(entry.recursive, entry.childless, care),
        // What is switched off says no more, and hands down what it has from above.
        None => {
            let mut keys = inherited.clone();
            keys[0].1 = entry.recursive.to_string();
            keys
        }
    };
    let mut text = comments(&entry.notes, "\n");
    if text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "[[managed-datasets]]\nsource = {}", quoted(entry.source.as_str()));
    if entry.care.is_none() {
        text += "enabled = false\n";
    }
    for ((key, value), (_, inherited)) in keys.iter().zip(inherited) {
        // What is inherited of destinations lies deeper by the path in between.
        if value != inherited || (*key == "destinations" && entry.care.is_some() && value != "[]") {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    (text, keys)
}

fn keys(recursive: bool, childless: bool, care: &Care) -> Keys {
    let goals: Vec<String> = care.goals.iter().map(goal).collect();
    [
        ("recursive", recursive.to_string()),
        ("exclude", if childless { "[\"*\"]" } else { "[]" }.to_owned()),
        ("snapshot-period", care.taken.map_or_else(|| quoted("never"), |period| quoted(&period.to_string()))),
        ("windows", windows(&care.windows)),
        ("at-least", care.at_least.to_string()),
        ("adopt", list(&care.adopt)),
        ("destinations", format!("[{}]", goals.join(", "))),
    ]
}

impl Replica {
    fn text(&self) -> String {
        let mut text = comments(&self.notes, "\n");
        if text.is_empty() {
            text.push('\n');
        }
        let (client, root) = (quoted(&self.client), quoted(self.root.as_str()));
        let _ = writeln!(text, "[[replicas]]\nclient = {client}\nroot = {root}\nwindows = {}", windows(&self.windows));
        if self.at_least > 0 {
            let _ = writeln!(text, "at-least = {}", self.at_least);
        }
        if !self.adopt.is_empty() {
            let _ = writeln!(text, "adopt = {}", list(&self.adopt));
        }
        for (path, kept) in self.datasets.iter().filter(|(_, kept)| **kept != self.windows) {
            let _ = writeln!(
                text,
                "\n[[replicas.datasets]]\ndataset = {}\nwindows = {}",
                quoted(path.as_str()),
                windows(kept)
            );
        }
        text
    }
}

/// What stands in a comment of its own, with the place that it is about.
pub fn comments(notes: &[Note], before: &str) -> String {
    // What others wrote must not end the comment.
    let plain = |note: &Note| format!("{}: {}", note.at, note.text).replace(char::is_control, " ");
    let lines: String = notes.iter().map(|note| format!("# {}\n", plain(note))).collect();
    if lines.is_empty() { lines } else { format!("{before}{lines}") }
}

/// Tiers as TOML.
pub fn windows(tiers: &[Tier]) -> String {
    let tier = |tier: &Tier| {
        let age = tier.max_age.map(|age| format!("max-age = \"{age}\", ")).unwrap_or_default();
        format!("{{ {age}period = \"{}\" }}", tier.period)
    };
    format!("[{}]", tiers.iter().map(tier).collect::<Vec<_>>().join(", "))
}

fn goal(goal: &Goal) -> String {
    let keys: Vec<String> = goal.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", keys.join(", "))
}

fn list(patterns: &BTreeSet<String>) -> String {
    format!("[{}]", patterns.iter().map(|pattern| quoted(pattern)).collect::<Vec<_>>().join(", "))
}

/// A text as TOML has it.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
