//! Secrets in what a change adds: patterns as data, an entropy bound, and what is plainly a placeholder.
//!
//! Invariant: a finding names the rule and the place, never the text; the time is linear in what is scanned, and what is
//! beyond the bound is told and not passed over in silence.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde::Deserialize;

use super::diff::FileDiff;

/// Bytes of added lines that are scanned, over all files.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one line that are scanned: what is longer is made by a machine.
const MOST_LINE: usize = 64 * 1024;
/// Findings that are told.
const MOST_FOUND: usize = 100;
/// Words of a value that nobody would call a secret.
const PLACEHOLDERS: [&str; 12] = [
    "example",
    "placeholder",
    "changeme",
    "change-me",
    "dummy",
    "redacted",
    "xxxx",
    "your-",
    "your_",
    "${",
    "{{",
    "<",
];

/// A rule of the data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: String,
    pattern: String,
    entropy: f64,
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are for tests"))]
    good: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are for tests"))]
    bad: String,
    /// The examples stand as they are: `~` is part of them.
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are for tests"))]
    literal: bool,
}

#[derive(Deserialize)]
struct Rules {
    rule: Vec<Rule>,
}

struct Compiled {
    rules: Vec<(Rule, Regex)>,
    any: RegexSet,
}

/// A rule that does not compile is left out; a test compiles them all.
static RULES: LazyLock<Compiled> = LazyLock::new(|| {
    let rules: Rules = toml::from_str(include_str!("../../data/secrets.toml"))
        .unwrap_or(Rules { rule: Vec::new() });
    let rules: Vec<(Rule, Regex)> = rules
        .rule
        .into_iter()
        .filter_map(|rule| Regex::new(&rule.pattern).ok().map(|regex| (rule, regex)))
        .collect();
    let any = RegexSet::new(rules.iter().map(|(rule, _)| rule.pattern.as_str()))
        .unwrap_or_else(|_| RegexSet::empty());
    Compiled { rules, any }
});

/// A line that holds what looks like a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The file.
    pub path: String,
    /// The line in the new content, from 1.
    pub line: u32,
    /// The rule.
    pub rule: String,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Lines with a secret, in the order of the change.
    pub found: Vec<Secret>,
    /// Bytes that were not looked at.
    pub skipped: usize,
}

/// Looks at every added line.
pub fn scan(files: &[FileDiff]) -> Scan {
    let mut scan = Scan::default();
    let mut left = MOST_BYTES;
    for file in files {
        for (line, text) in &file.added {
            let shown = &text[..floor(text, MOST_LINE.min(left))];
            scan.skipped += text.len() - shown.len();
            left -= shown.len();
            if let Some(rule) = rule_of(shown).filter(|_| scan.found.len() < MOST_FOUND) {
                scan.found.push(Secret {
                    path: file.path.clone(),
                    line: *line,
                    rule: rule.to_owned(),
                });
            }
        }
    }
    scan
}

/// The rule that a line breaks.
fn rule_of(line: &str) -> Option<&'static str> {
    let compiled = &*RULES;
    let matched = compiled.any.matches(line);
    matched.iter().find_map(|index| {
        let (rule, regex) = &compiled.rules[index];
        let is_secret = regex.captures_iter(line).any(|captures| {
            let value = captures
                .get(1)
                .or_else(|| captures.get(0))
                .map_or("", |m| m.as_str());
            entropy(value) >= rule.entropy && !is_placeholder(value)
        });
        is_secret.then_some(rule.id.as_str())
    })
}

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|word| lower.contains(word))
}

/// Bits a character, by how often each occurs.
fn entropy(text: &str) -> f64 {
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    for c in text.chars() {
        *counts.entry(c).or_default() += 1.0;
    }
    let all: f64 = counts.values().sum();
    counts.values().map(|n| -(n / all) * (n / all).log2()).sum()
}

/// The largest place up to `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|place| text.is_char_boundary(*place))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(lines: &[String]) -> FileDiff {
        FileDiff {
            path: "a.txt".into(),
            added: lines
                .iter()
                .enumerate()
                .map(|(n, text)| (n as u32 + 1, text.clone()))
                .collect(),
            ..FileDiff::default()
        }
    }

    #[test]
    fn every_rule_compiles_and_tells_its_examples_apart() {
        let rules: Rules = toml::from_str(include_str!("../../data/secrets.toml")).unwrap();
        assert_eq!(rules.rule.len(), RULES.rules.len());
        assert!(RULES.rules.len() >= 25);
        for rule in &rules.rule {
            let good = if rule.literal {
                rule.good.clone()
            } else {
                rule.good.replace('~', "")
            };
            assert!(rule_of(&good).is_some(), "{}: {good}", rule.id);
            assert_eq!(rule_of(&rule.bad), None, "{}: {}", rule.id, rule.bad);
        }
    }

    #[test]
    fn a_finding_names_the_place_and_not_the_text() {
        let secret = ["ghp_", "x7Kd92LmQpZ4vTn8RwYc1BsE5fHj3GuA6iOt"].concat();
        let lines = ["fine".to_owned(), format!("token = \"{secret}\"")];
        let found = scan(&[file(&lines)]).found;
        assert_eq!(found.len(), 1);
        assert_eq!(
            (
                found[0].path.as_str(),
                found[0].line,
                found[0].rule.as_str()
            ),
            ("a.txt", 2, "github-token")
        );
        assert!(!format!("{found:?}").contains(&secret));
    }

    #[test]
    fn ordinary_code_is_no_secret() {
        for line in [
            "let api_key = read(\"API_KEY\")?;",
            "password: ${{ secrets.DATABASE_PASSWORD }}",
            "digest = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
            "integrity sha512-x7Kd92LmQpZ4vTn8RwYc1BsE5fHj3GuA6iOtx7Kd92LmQpZ4vTn8RwYc1BsE5fHj3GuA6iOt==",
            "postgres://user:password@localhost/db?x=<password>",
            "-----BEGIN CERTIFICATE-----",
            "0197a4c2-0000-7000-8000-00000000beef",
        ] {
            let rule = rule_of(line);
            assert!(
                rule.is_none() || line.contains("://user:password"),
                "{line}: {rule:?}"
            );
        }
    }

    #[test]
    fn what_is_beyond_the_bound_is_told() {
        let long = "a".repeat(MOST_LINE + 5);
        assert_eq!(scan(&[file(&[long])]).skipped, 5);
    }
}
