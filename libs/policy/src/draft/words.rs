//! Category, files and anchor from the words of a text.
//!
//! Invariant: words are compared whole, so that `author` is no `auth` and `build` no `ui`; a category is named only if
//! one wins clearly.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

/// Characters of a goal anchor.
const ANCHOR: usize = 200;

/// Words that speak for a category of the plan. What speaks for none is left to the defaults.
const WORDS: &[(&str, &[&str])] = &[
    (
        "security_auth_change",
        &[
            "auth",
            "authentication",
            "authorisation",
            "authorization",
            "login",
            "logout",
            "jwt",
            "token",
            "tokens",
            "session",
            "sessions",
            "password",
            "passwords",
            "oauth",
        ],
    ),
    (
        "schema_contract_change",
        &[
            "database",
            "schema",
            "schemas",
            "migration",
            "migrations",
            "sql",
            "orm",
            "protobuf",
            "openapi",
        ],
    ),
    (
        "tests",
        &["test", "tests", "pytest", "unittest", "coverage", "e2e"],
    ),
    (
        "docs",
        &[
            "doc",
            "docs",
            "documentation",
            "readme",
            "guide",
            "changelog",
            "tutorial",
        ],
    ),
    (
        "cross_cutting_refactor",
        &["refactor", "rename", "restructure"],
    ),
];

/// A path with a folder, or a file name with a known ending.
static FILE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x) [A-Za-z0-9_.\-]+ (?: / [A-Za-z0-9_.\-]+ )* \. (?: py|js|ts|tsx|jsx|java|go|rs|c|h|cpp|rb|php|cs|kt|swift|sql|sh|proto|md|rst|json|toml|yaml|yml|html|css ) \b",
    )
    .ok()
});

/// The category that the words of a text speak for; `None` if none does, or two do alike.
pub fn category_of(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let words: BTreeSet<&str> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut hits: Vec<(usize, &'static str)> = WORDS
        .iter()
        .map(|(name, known)| (known.iter().filter(|w| words.contains(*w)).count(), *name))
        .filter(|(count, _)| *count > 0)
        .collect();
    hits.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    match hits.as_slice() {
        [(_, only)] => Some(only),
        [(first, name), (second, _), ..] if first > second => Some(name),
        _ => None,
    }
}

/// Files that a text names, in order, each once. What leaves the repository is not one, nor is a part of an address.
pub fn files_in(text: &str) -> Vec<String> {
    let Some(pattern) = FILE.as_ref() else {
        return Vec::new();
    };
    let mut found: Vec<String> = Vec::new();
    for hit in pattern.find_iter(text) {
        let before = text[..hit.start()].chars().next_back();
        let after = text[hit.end()..].chars().next();
        let path = hit.as_str().trim_start_matches("./");
        let is_whole = !before
            .is_some_and(|c| c == '/' || c == ':' || c == '@' || c == '*' || c == '~')
            && !after.is_some_and(|c| c == '/' || c == '*' || c == '-');
        let is_inside = path
            .split('/')
            .all(|part| part != ".." && part != ".git" && !part.is_empty());
        // `.json` alone speaks of a kind of file.
        let is_named = path
            .split('/')
            .next_back()
            .is_some_and(|name| !name.starts_with('.') || name.matches('.').count() > 1);
        if is_whole && is_inside && is_named && !found.iter().any(|known| known == path) {
            found.push(path.to_owned());
        }
    }
    found
}

/// The goal anchor: the first sentence, cut at a word if it is longer than 200 characters.
pub fn anchor(text: &str) -> String {
    let line = plain(text);
    let mut end = line.len();
    for mark in [". ", "! ", "? "] {
        if let Some(at) = line.find(mark) {
            end = end.min(at + 1);
        }
    }
    let sentence = line[..end].trim();
    if sentence.chars().count() <= ANCHOR {
        return sentence.to_owned();
    }
    let cut: String = sentence.chars().take(ANCHOR - 1).collect();
    let cut = cut.rfind(' ').map_or(cut.as_str(), |at| &cut[..at]);
    format!("{}…", cut.trim_end_matches([',', ';', ':', ' ']))
}

/// A text in one line, without control characters and without the marks of emphasis and code.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("**", "").replace("__", "").chars() {
        let c = if c.is_whitespace() || c.is_control() {
            ' '
        } else {
            c
        };
        if c == '`' || (c == ' ' && (out.is_empty() || out.ends_with(' '))) {
            continue;
        }
        out.push(c);
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_a_tie_names_nothing() {
        for text in [
            "Build a restore for the author's view",
            "modelled, rested, apiary",
            "",
        ] {
            assert_eq!(category_of(text), None, "{text}");
        }
        assert_eq!(
            category_of("Login with a JWT"),
            Some("security_auth_change")
        );
        assert_eq!(category_of("Write the README and a guide"), Some("docs"));
        assert_eq!(
            category_of("Document login in the docs, with a test"),
            None,
            "three alike"
        );
    }

    #[test]
    fn files_are_those_of_the_repository() {
        let text = "Add `src/a.rs`, ./b/c.md and c.py (see https://example.org/x.html, ../up.rs, /etc/x.yaml, src/*.rs); .json files; src/a.rs.";
        assert_eq!(files_in(text), ["src/a.rs", "b/c.md", "c.py"]);
    }

    #[test]
    fn an_anchor_is_a_sentence_of_bounded_length() {
        assert_eq!(anchor("Do it. Then rest."), "Do it.");
        assert_eq!(anchor("Use v1.2 of\n`it`"), "Use v1.2 of it");
        let long = anchor(&"word ".repeat(100));
        assert!(
            long.chars().count() <= ANCHOR && long.ends_with("word…"),
            "{long}"
        );
        assert!(anchor(&"ß".repeat(500)).chars().count() <= ANCHOR);
    }
}
