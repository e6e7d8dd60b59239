//! Text tools shared by the readers of command output: lazily compiled patterns, colour codes removed.
//!
//! Invariant: a pattern that does not compile matches nothing; every pattern is exercised by a test.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex::{Captures, Regex};

/// A regular expression compiled on first use, for statics.
pub(crate) struct Pattern {
    source: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) const fn new(source: &'static str) -> Self {
        Self {
            source,
            compiled: OnceLock::new(),
        }
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| Regex::new(self.source).ok())
            .as_ref()
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex().is_some_and(|r| r.is_match(text))
    }

    pub(crate) fn find_all<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Captures<'t>> {
        self.regex().into_iter().flat_map(|r| r.captures_iter(text))
    }

    pub(crate) fn first<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex().and_then(|r| r.captures(text))
    }

    pub(crate) fn last<'t>(&'t self, text: &'t str) -> Option<Captures<'t>> {
        self.find_all(text).last()
    }

    pub(crate) fn replace_all<'t>(&self, text: &'t str, with: &str) -> Cow<'t, str> {
        match self.regex() {
            Some(r) => r.replace_all(text, with),
            None => Cow::Borrowed(text),
        }
    }
}

/// The number in a capture group; 0 where the group is absent or too large.
pub(crate) fn number(captures: &Captures<'_>, group: usize) -> u64 {
    captures
        .get(group)
        .and_then(|m| m.as_str().parse().ok())
        .unwrap_or(0)
}

/// The numbers of a list such as `2 failed, 3 passed`, each with the word after it.
pub(crate) fn counted_words(text: &str) -> Vec<(u64, &str)> {
    static PAIR: Pattern = Pattern::new(r"(\d+)\s+([A-Za-z]+)");
    let mut pairs = Vec::new();
    for captures in PAIR.find_all(text) {
        let Some(word) = captures.get(2) else {
            continue;
        };
        pairs.push((number(&captures, 1), &text[word.range()]));
    }
    pairs
}

/// The text without terminal escapes, each line ended by `\n` only.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    static ESCAPE: Pattern = Pattern::new(
        r"(?x) \x1b \[ [0-?]* [\x20-/]* [@-~] | \x1b \] [^\x07\x1b]* (?: \x07 | \x1b \\ ) | \x1b [@-Z\\-_]",
    );
    if !text.contains(['\u{1b}', '\r']) {
        return Cow::Borrowed(text);
    }
    let unescaped = ESCAPE.replace_all(text, "");
    Cow::Owned(unescaped.replace("\r\n", "\n").replace('\r', "\n"))
}

/// A text for one line of a report: control characters become spaces, at most `max` characters.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    let joined = words.join(" ");
    if joined.chars().count() <= max {
        return joined;
    }
    let mut cut: String = joined.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
