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

/// Makes sure that a POSIX shell reads a text without complaint.
pub fn is_shell(text: &str) {
    use std::io::Write as _;
    let mut shell = std::process::Command::new("sh");
    let mut shell =
        shell.arg("-n").stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = shell.wait_with_output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}{text}", String::from_utf8_lossy(&said.stderr));
}
