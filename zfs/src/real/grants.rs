//! The text of `zfs allow DATASET`: a block for the dataset and for each ancestor that has grants, with five sections.

use super::parse::Bad;
use crate::door::{Grant, GrantScope, GrantWho};
use zam_names::DatasetName;

/// What a section's lines say.
#[derive(Clone, Copy)]
enum Section {
    /// Definitions of named sets. Whom they are given to stands in the other sections.
    Sets,
    /// `-c`: what the creator of a dataset gets, on that dataset alone.
    Create,
    Given(GrantScope),
}

/// What was set on this very dataset; what it has from above is passed over.
pub(super) fn grants(text: &str, dataset: &DatasetName) -> Result<Vec<Grant>, Bad> {
    let mut found = Vec::new();
    let mut is_ours = false;
    let mut section = None;
    for line in text.lines() {
        if let Some(name) = block(line) {
            is_ours = name == dataset.as_str();
            section = None;
        } else if let Some(heading) = heading(line) {
            section = Some(heading);
        } else {
            let bad = |why: &str| Bad { why: why.to_owned(), line: line.to_owned() };
            let entry = line.strip_prefix('\t').ok_or_else(|| bad("expected a block, a section or an entry"))?;
            let section = section.ok_or_else(|| bad("an entry outside a section"))?;
            let grant = match section {
                Section::Sets => continue,
                Section::Create => Grant {
                    dataset: dataset.clone(),
                    who: GrantWho::Creator,
                    scope: GrantScope::Local,
                    permissions: permissions(entry),
                },
                Section::Given(scope) => given(entry, scope, dataset).ok_or_else(|| bad("expected whom and what"))?,
            };
            found.extend(is_ours.then_some(grant));
        }
    }
    found.sort();
    Ok(found)
}

/// The dataset of a line like `---- Permissions on tank/a -----------`; its end of dashes varies, and a name may end in a
/// dash too, so the blank before them counts.
fn block(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---- Permissions on ")?;
    let (name, dashes) = rest.rsplit_once(' ')?;
    dashes.bytes().all(|byte| byte == b'-').then_some(name)
}

fn heading(line: &str) -> Option<Section> {
    Some(match line {
        "Permission sets:" => Section::Sets,
        "Create time permissions:" => Section::Create,
        "Local permissions:" => Section::Given(GrantScope::Local),
        "Descendent permissions:" => Section::Given(GrantScope::Descendent),
        "Local+Descendent permissions:" => Section::Given(GrantScope::Both),
        _ => return None,
    })
}

/// `user NAME PERMISSIONS`, `user (unknown: NUMBER) PERMISSIONS`, the same with `group`, or `everyone PERMISSIONS`.
fn given(entry: &str, scope: GrantScope, dataset: &DatasetName) -> Option<Grant> {
    let (who, what) = entry.trim_end().rsplit_once(' ')?;
    let named = |name: &str| match name.strip_prefix("(unknown: ").and_then(|rest| rest.strip_suffix(')')) {
        Some(number) => number.to_owned(),
        None => name.to_owned(),
    };
    let who = match who.split_once(' ') {
        None if who == "everyone" => GrantWho::Everyone,
        Some(("user", name)) => GrantWho::User(named(name)),
        Some(("group", name)) => GrantWho::Group(named(name)),
        _ => return None,
    };
    Some(Grant { dataset: dataset.clone(), who, scope, permissions: permissions(what) })
}

fn permissions(list: &str) -> Vec<String> {
    let mut permissions: Vec<String> =
        list.trim().split(',').filter(|permission| !permission.is_empty()).map(str::to_owned).collect();
    permissions.sort();
    permissions
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    /// As OpenZFS 2.3.9 writes it.
    const TEXT: &str = "\
---- Permissions on tank/a -------------------------------------------
Permission sets:
\t@set1 hold,snapshot
Create time permissions:
\tdestroy,mount
Descendent permissions:
\tuser zam-a mount
Local+Descendent permissions:
\tuser zam-a @set1,destroy
\tuser (unknown: 4242) snapshot
\tgroup zam-a send
\tgroup (unknown: 4243) snapshot
\teveryone diff
---- Permissions on tank ---------------------------------------------
Local+Descendent permissions:
\tuser zam-a hold,release,snapshot
";

    fn read(text: &str, dataset: &str) -> Vec<(GrantWho, GrantScope, String)> {
        let found = grants(text, &dataset.parse().unwrap()).unwrap();
        found.into_iter().map(|grant| (grant.who, grant.scope, grant.permissions.join(","))).collect()
    }

    #[test]
    fn what_is_set_on_the_dataset_itself_is_read() {
        let user = |name: &str| GrantWho::User(name.into());
        let group = |name: &str| GrantWho::Group(name.into());
        let expected = [
            (user("4242"), GrantScope::Both, "snapshot"),
            (user("zam-a"), GrantScope::Descendent, "mount"),
            (user("zam-a"), GrantScope::Both, "@set1,destroy"),
            (group("4243"), GrantScope::Both, "snapshot"),
            (group("zam-a"), GrantScope::Both, "send"),
            (GrantWho::Everyone, GrantScope::Both, "diff"),
            (GrantWho::Creator, GrantScope::Local, "destroy,mount"),
        ];
        assert_eq!(read(TEXT, "tank/a"), expected.map(|(who, scope, what)| (who, scope, what.to_owned())));
    }

    #[test]
    fn what_comes_from_above_is_passed_over() {
        assert_eq!(
            read(TEXT, "tank"),
            [(GrantWho::User("zam-a".into()), GrantScope::Both, "hold,release,snapshot".into())]
        );
        assert_eq!(read(TEXT, "tank/a/b"), []);
        assert_eq!(read("", "two"), []);
    }

    #[test]
    fn what_is_not_understood_is_quoted() {
        let dataset = "tank".parse().unwrap();
        let block = "---- Permissions on tank -----\n";
        for (text, line) in [
            ("hello\n", "hello"),
            ("\tuser a snapshot\n", "\tuser a snapshot"),
            ("---- Permissions on tank -----\nLocal permissions:\n\trobot a snapshot\n", "\trobot a snapshot"),
            ("---- Permissions on tank -----\nLocal permissions:\n\tuser snapshot\n", "\tuser snapshot"),
        ] {
            assert_eq!(grants(text, &dataset).unwrap_err().line, line);
        }
        assert_eq!(grants(block, &dataset), Ok(vec![]));
    }
}
