//! INI files: sections, keys and values.

use super::text::{At, File};
use crate::failure::Failure;
use std::collections::BTreeMap;

/// A section.
pub struct Section {
    pub name: String,
    pub at: At,
    pub keys: BTreeMap<String, (String, At)>,
}

/// Reads the sections of all files in their order. A section that comes again adds to the first; a key that comes again in
/// another file has the value of the last.
pub fn read(files: &[File]) -> Result<Vec<Section>, Failure> {
    let mut sections: Vec<Section> = Vec::new();
    for file in files {
        let mut here = None;
        let mut seen = std::collections::BTreeSet::new();
        for (at, line) in file.lines() {
            if let Some(name) = line.strip_prefix('[') {
                let Some(name) = name.strip_suffix(']') else {
                    return Err(at.wrong(format!("{line:?} begins a section and does not end it with ]")));
                };
                let name = name.trim().to_owned();
                let known = sections.iter().position(|section| section.name == name);
                here = Some(known.unwrap_or_else(|| {
                    sections.push(Section { name, at, keys: BTreeMap::new() });
                    sections.len() - 1
                }));
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                return Err(at.wrong(format!("{line:?} is neither a [section] nor a key = value")));
            };
            let Some(section) = here else { return Err(at.wrong("a key before the first [section]")) };
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            if !seen.insert((section, key.clone())) {
                return Err(at.wrong(format!("{key} stands twice in [{}]", sections[section].name)));
            }
            sections[section].keys.insert(key, (value, at));
        }
    }
    Ok(sections)
}
