//! Cutting texts to size.
//!
//! Invariant: a cut never falls inside a character, and the result is never longer than asked for.

use std::fmt::Write as _;

/// The longest detail of a failure, in bytes.
pub(crate) const DETAIL: usize = 16 * 1024;
/// The longest artifact with output, in bytes.
pub(crate) const OUTPUT: usize = 256 * 1024;
/// The longest artifact with a diff, in bytes.
pub(crate) const DIFF: usize = 1024 * 1024;
/// What stands where text was left out.
const CUT: &str = "\n[... cut ...]\n";

/// The beginning, with a mark if something is missing.
pub(crate) fn head(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = floor(text, max.saturating_sub(CUT.len()));
    format!("{}{CUT}", &text[..end])
}

/// The end, with a mark if something is missing.
pub(crate) fn tail(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut start = text.len() - max.saturating_sub(CUT.len()).min(text.len());
    while !text.is_char_boundary(start) {
        start += 1;
    }
    format!("{CUT}{}", &text[start..])
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// At most `max` lines, and how many more there are.
pub(crate) fn lines(items: impl ExactSizeIterator<Item = String>, max: usize) -> String {
    let more = items.len().saturating_sub(max);
    let mut text = items.take(max).collect::<Vec<_>>().join("\n");
    if more > 0 {
        let _ = write!(text, "\nand {more} more");
    }
    text
}

/// A raw path for people.
pub(crate) fn shown(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_keep_characters_whole_and_stay_within_the_bound() {
        let text = "ä".repeat(100);
        for max in 20..40 {
            assert!(head(&text, max).len() <= max && tail(&text, max).len() <= max);
        }
        assert_eq!(head("short", 10), "short");
        assert!(tail("0123456789012345678901234", 20).ends_with("01234"));
    }

    #[test]
    fn long_lists_say_how_many_are_missing() {
        let items = (0..5).map(|n| n.to_string());
        assert_eq!(lines(items, 2), "0\n1\nand 3 more");
    }
}
