//! Names of files from ids and texts of others.
//!
//! Invariant: total and free of collisions: every text gives a name, two texts never the same; no name leaves its
//! folder, is hidden, or has more than 150 bytes.

use std::fmt::Write as _;

use crate::output::hex_sha256;

/// Longest name, in bytes; a prefix and an end still fit into the 255 of a file system.
const LONGEST: usize = 150;
/// What is kept of a longer one before its digest.
const KEPT: usize = 100;
/// What else may stand beside the folders of runs: the parts of a data directory.
const TAKEN: &[&str] = &[
    "artifacts",
    "caches",
    "db",
    "debug_journal.md",
    "debug_journal.md.new",
    "lock",
    "registry.json",
    "registry.sock",
    "repos",
    "runs",
    "tmp",
    "token",
    "version",
    "workspaces",
];

/// The name of a text. Letters, digits, `_`, `-` and inner dots stay; every other byte becomes `%` and two digits.
pub(crate) fn name(text: &str) -> String {
    let last = text.len().saturating_sub(1);
    let mut name = String::with_capacity(text.len());
    for (n, byte) in text.bytes().enumerate() {
        let inner_dot = byte == b'.' && n != 0 && n != last;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || inner_dot {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    if name.is_empty() {
        // No escape is a lone `%`.
        name.push('%');
    }
    if name.len() > LONGEST {
        name.truncate(KEPT);
        // Nor does one go on with `~`.
        let _ = write!(name, "%~{}", &hex_sha256(text.as_bytes())[..40]);
    }
    name
}

/// The folder of a run: the name of its id, unless something else has that place.
pub(crate) fn run_folder(id: &str) -> String {
    let name = name(id);
    let folded = name.to_ascii_lowercase();
    let of_project = folded.strip_prefix("project_");
    let journal = folded.strip_prefix("debug_journal_");
    let is_file = of_project.is_some_and(|rest| rest.strip_suffix(".json").is_some())
        || journal.is_some_and(|rest| rest.strip_suffix(".md").is_some());
    if !is_file && !TAKEN.contains(&folded.as_str()) {
        return name;
    }
    // No name escapes a letter, so this one is nobody else's.
    let (first, rest) = name.split_at(1);
    format!("%{:02X}{rest}", first.as_bytes()[0])
}

/// The name of a tier's name in the older layout, which wrote blanks and slashes as `_`.
pub(super) fn older(text: &str) -> String {
    name(&text.replace([' ', '/'], "_"))
}

/// Whether a place beside the folders of runs belongs to something else.
pub(crate) fn is_taken(name: &str) -> bool {
    name.starts_with('.') || TAKEN.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_stay_as_they_are_and_nothing_else_leaves_its_folder() {
        for id in ["demo-1", "P1.1", "phase3-delegated-20251202-134835", "A_b"] {
            assert_eq!((name(id), run_folder(id)), (id.to_owned(), id.to_owned()));
        }
        for (text, expected) in [
            ("", "%"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("../etc", "%2E.%2Fetc"),
            ("a/b", "a%2Fb"),
            ("a\\b", "a%5Cb"),
            ("a%2Fb", "a%252Fb"),
            ("a b\n", "a%20b%0A"),
            ("é", "%C3%A9"),
            ("end.", "end%2E"),
        ] {
            assert_eq!(name(text), expected);
        }
        assert_eq!(older("Core Features/x"), "Core_Features_x");
    }

    #[test]
    fn every_text_has_a_short_name_of_its_own() {
        let alphabet = [
            "", "a", "A", ".", "/", "%", "~", "%~", "é", " ", "\0", "db", "2E",
        ];
        let long = "é".repeat(500);
        let mut texts = BTreeSet::new();
        for a in alphabet {
            for b in alphabet {
                for c in alphabet {
                    texts.insert(format!("{a}{b}{c}"));
                    texts.insert(format!("{long}{a}{b}{c}"));
                }
            }
        }
        let names: BTreeSet<String> = texts.iter().map(|text| name(text)).collect();
        let folders: BTreeSet<String> = texts.iter().map(|text| run_folder(text)).collect();
        assert_eq!((names.len(), folders.len()), (texts.len(), texts.len()));
        for name in names.iter().chain(&folders) {
            assert!(
                name.len() <= LONGEST && !name.starts_with('.') && !name.is_empty(),
                "{name}"
            );
            assert!(!name.contains(['/', '\\', '\0']), "{name}");
        }
    }

    #[test]
    fn a_run_takes_no_place_of_the_data_directory_or_of_a_project() {
        for (id, folder) in [
            ("db", "%64b"),
            ("Runs", "%52uns"),
            ("project_issue_backlog.json", "%70roject_issue_backlog.json"),
            ("project_x", "project_x"),
        ] {
            assert_eq!(run_folder(id), folder);
        }
        assert!(is_taken("db") && is_taken(".originals") && !is_taken("demo"));
    }
}
