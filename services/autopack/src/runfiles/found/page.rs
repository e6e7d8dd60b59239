//! A page of the form that summaries, tiers and phases have: a title, and lines `- **Key:** value`.
//!
//! Invariant: whatever the text is, it is read without a fault; what has not the form is passed over.

use std::collections::BTreeMap;

/// What a page says.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// The first heading, without what marks it.
    pub(super) title: String,
    /// The line between the title and the first section, if there is one.
    pub(super) lead: String,
    fields: Vec<(String, String)>,
}

/// Fields of one page; a page of ours has twenty.
const MAX_FIELDS: usize = 1000;

impl Page {
    pub(super) fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut sections = 0;
        for line in text.lines() {
            let line = line.trim();
            if let Some(title) = line.strip_prefix("# ") {
                if page.title.is_empty() {
                    page.title = plain(title);
                }
            } else if line.starts_with("## ") {
                sections += 1;
            } else if let Some((key, value)) = field(line) {
                if page.fields.len() < MAX_FIELDS {
                    page.fields.push((key.to_owned(), plain(value)));
                }
            } else if sections == 0 && page.lead.is_empty() {
                page.lead = plain(line);
            }
        }
        page
    }

    /// The first value of a key; keys are compared without regard to case. `N/A` is no value.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut found = self.fields.iter();
        let (_, value) = found.find(|(known, _)| known.eq_ignore_ascii_case(key))?;
        Some(value.as_str()).filter(|value| !value.is_empty() && *value != "N/A")
    }

    /// Every key with its first value.
    pub(super) fn fields(&self) -> BTreeMap<String, String> {
        let pairs = self.fields.iter().rev().cloned();
        pairs.collect()
    }

    /// The number that a value begins with, as in `12 of 100`.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?.replace(',', "");
        let digits = value.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    }

    /// The part of the title after its first colon.
    pub(super) fn name(&self) -> &str {
        self.title.split_once(": ").map_or("", |(_, name)| name)
    }
}

fn field(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("- **")?;
    let (key, value) = rest.split_once("**")?;
    let key = key.strip_suffix(':').unwrap_or(key);
    let value = value.strip_prefix(':').unwrap_or(value);
    Some((key.trim(), value.trim()))
}

/// The text that Markdown shows: without the escapes that the summary writes.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => {}
            _ => plain.push(c),
        }
        // An escaped backslash is text.
        if c == '\\' && chars.peek() == Some(&'\\') {
            chars.next();
            plain.push('\\');
        }
    }
    let plain = plain.replace("&lt;", "<").replace("&gt;", ">");
    plain.replace("&amp;", "&").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{super::super::summary::md, *};

    #[test]
    fn fields_are_found_in_either_spelling_and_escapes_are_undone() {
        let text = "# Tier T1: Core\n\nA lead\n\n## Status\n\n- **State:** COMPLETE\n- **Tier ID**: T1\n* no\n- **Tokens:** 1,234 of 5\n- **Complexity:** N/A\n";
        let page = Page::read(text);
        assert_eq!((page.name(), page.lead.as_str()), ("Core", "A lead"));
        assert_eq!(page.get("state"), Some("COMPLETE"));
        assert_eq!(page.get("Tier ID"), Some("T1"));
        assert_eq!(page.get("Complexity"), None);
        assert_eq!(page.number("Tokens"), Some(1234));
        for text in [
            "a_b",
            r"a\b",
            r"\\",
            "<b> & *c* [d](e) #!`",
            "&lt;",
            "plain",
        ] {
            assert_eq!(plain(&md(text)), text);
        }
    }

    #[test]
    fn nothing_is_too_odd_to_be_read() {
        for text in ["", "\\", "- **", "- ****", "# ", "\0\u{feff}", "- **:** x"] {
            let page = Page::read(text);
            assert_eq!(page.number("State"), None);
        }
    }
}
