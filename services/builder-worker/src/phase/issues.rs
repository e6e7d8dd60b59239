//! Issues that a builder reports about its own work, in a file outside of its checkout.
//!
//! Invariant: what it says is a claim: it is recorded under the source `builder`, and changes no verdict. A line that is no
//! issue is left out with a warning; it fails nothing.

use autopack_domain::{
    issue::{MAX_DESCRIPTION, NewIssue, Severity},
    plan::category,
};
use serde::Deserialize;

/// Issues of one attempt; more are left out.
const MAX: usize = 100;

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    #[serde(default)]
    severity: Option<String>,
    category: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    evidence: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The issues.
    pub(crate) issues: Vec<NewIssue>,
    /// Lines that are none, or one too many.
    pub(crate) left_out: usize,
}

/// Reads one JSON object a line; `redact` hides secrets in what people read.
pub(crate) fn parse(text: &str, redact: impl Fn(&str) -> String) -> Parsed {
    let mut parsed = Parsed::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match issue(line, &redact) {
            Some(issue) if parsed.issues.len() < MAX => parsed.issues.push(issue),
            Some(_) | None => parsed.left_out += 1,
        }
    }
    parsed
}

fn issue(line: &str, redact: impl Fn(&str) -> String) -> Option<NewIssue> {
    let line: Line = serde_json::from_str(line).ok()?;
    let severity = match &line.severity {
        Some(word) => Severity::parse(word)?,
        None => Severity::parse(category(&line.category).severity)?,
    };
    let hidden = |list: Vec<String>| list.iter().map(|text| redact(text)).collect();
    let description = redact(&line.description);
    let issue = NewIssue {
        key: redact(&line.key),
        severity,
        source: "builder".to_owned(),
        category: line.category,
        description: description.chars().take(MAX_DESCRIPTION).collect(),
        evidence: hidden(line.evidence),
        paths: hidden(line.paths),
    };
    issue.faults("").is_empty().then_some(issue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_issues_are_taken_and_the_others_counted() {
        let text = r#"
{"key": "docs__readme__stale", "category": "docs", "description": "token hunter2", "paths": ["README.md"]}
{"key": "auth__x__y", "category": "security_auth_change"}
{"key": "k", "severity": "medium", "category": "docs"}
{"key": "", "category": "docs"}
{"key": "k", "category": "docs", "source": "auditor"}
nonsense"#;
        let parsed = parse(text, |text| text.replace("hunter2", "***"));
        assert_eq!((parsed.issues.len(), parsed.left_out), (2, 4));
        assert_eq!(parsed.issues[0].severity, Severity::Minor);
        assert_eq!(parsed.issues[0].description, "token ***");
        assert_eq!(parsed.issues[1].severity, Severity::Major);
        assert!(parsed.issues.iter().all(|issue| issue.source == "builder"));
        let many = "{\"key\": \"k\", \"category\": \"docs\"}\n".repeat(MAX + 3);
        let parsed = parse(&many, str::to_owned);
        assert_eq!((parsed.issues.len(), parsed.left_out), (MAX, 3));
    }
}
