//! Comparing with a file; `ZAM_BLESS=1` writes it anew.

use std::path::Path;

/// Compares a text with a file of this crate.
pub fn compare(text: &str, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("ZAM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    pretty_assertions::assert_eq!(text, expected, "{file} differs; ZAM_BLESS=1 writes it anew");
}
