//! Normal form, signature and class of a failure text (SEMANTICS 10.6).
//!
//! Invariant: the replacements run in the fixed order of SEMANTICS, so the signature of a text never
//! changes between versions; two texts that differ only in paths, line numbers, quoted names or
//! addresses have one signature.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::text::Pattern;

/// Replacement rules, in order.
static RULES: [(Pattern, &str); 7] = [
    (Pattern::new(r#"[A-Za-z]:\\[^\s'"]+"#), "<PATH>"),
    (Pattern::new(r#"/[^\s'"]+\.py\b"#), "<PATH>"),
    (Pattern::new(r"line \d+"), "line <NUM>"),
    (Pattern::new(r":\d+:"), ":<NUM>:"),
    (Pattern::new(r"'[A-Za-z_][A-Za-z0-9_]*'"), "<VAR>"),
    (Pattern::new(r#""[A-Za-z_][A-Za-z0-9_]*""#), "<VAR>"),
    (Pattern::new(r"0x[0-9a-fA-F]+"), "0x<HEX>"),
];

/// The classes, each with the texts that show it; the first hit in the lower-cased text counts.
const CLASSES: &[(&str, &[&str])] = &[
    ("import_error", &["importerror", "modulenotfounderror"]),
    ("syntax_error", &["syntaxerror"]),
    ("type_error", &["typeerror"]),
    ("attribute_error", &["attributeerror"]),
    ("name_error", &["nameerror"]),
    ("value_error", &["valueerror"]),
    ("key_error", &["keyerror"]),
    ("indentation_error", &["indentationerror"]),
    ("file_not_found", &["filenotfounderror", "no such file"]),
    ("permission_error", &["permission", "access denied"]),
];

/// The class of a text that no other class fits.
pub const UNKNOWN_CLASS: &str = "unknown_error";

/// The text without what differs from one occurrence to the next.
pub fn normalise(text: &str) -> String {
    let mut normal = text.to_owned();
    for (pattern, with) in &RULES {
        normal = pattern.replace_all(&normal, with).into_owned();
    }
    normal
}

/// The first 16 hex digits of the SHA-256 of the normal form.
pub fn signature(text: &str) -> String {
    let digest = Sha256::digest(normalise(text).as_bytes());
    let mut hex = String::with_capacity(16);
    for byte in digest.iter().take(8) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The class of a failure text.
pub fn class(text: &str) -> &'static str {
    let lower = text.to_lowercase();
    CLASSES
        .iter()
        .find(|(_, signs)| signs.iter().any(|sign| lower.contains(sign)))
        .map_or(UNKNOWN_CLASS, |(class, _)| class)
}

/// The suggested id of the pattern: class and the first 8 digits of the signature.
pub fn pattern_id(text: &str) -> String {
    let signature = signature(text);
    format!("{}_{}", class(text), &signature[..8])
}
