//! What a code means: causes, reasons and findings of the catalogue.
//!
//! Invariant: every code of the catalogue has a page; a code that is none gets the closest ones.

use autopack_domain::{Cause, FindingCode, Reason, catalogue::Charge};
use serde_json::{Value, json};

/// What a code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// Why a phase or run did not succeed.
    Cause(Cause),
    /// Why a command was refused.
    Reason(Reason),
    /// What the self-check found.
    Finding(FindingCode),
}

impl Page {
    /// Every page, in the order of the catalogue.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let causes = Cause::ALL.iter().copied().map(Self::Cause);
        let reasons = Reason::ALL.iter().copied().map(Self::Reason);
        let findings = FindingCode::ALL.iter().copied().map(Self::Finding);
        causes.chain(reasons).chain(findings)
    }

    /// The page of a code, or the closest codes.
    pub(crate) fn find(code: &str) -> Result<Self, Vec<&'static str>> {
        let wanted: String = code.trim().to_ascii_uppercase().replace(['-', ' '], "_");
        if let Some(page) = Self::all().find(|page| page.code() == wanted) {
            return Ok(page);
        }
        let mut near: Vec<(usize, &'static str)> = Self::all()
            .map(Self::code)
            .map(|known| {
                let within =
                    wanted.len() > 3 && (known.contains(&wanted) || wanted.contains(known));
                (if within { 0 } else { distance(&wanted, known) }, known)
            })
            .filter(|(far, _)| *far <= wanted.len() / 2)
            .collect();
        near.sort_unstable();
        Err(near.into_iter().take(5).map(|(_, known)| known).collect())
    }

    /// Its code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Cause(cause) => cause.code(),
            Self::Reason(reason) => reason.code(),
            Self::Finding(finding) => finding.code(),
        }
    }

    /// What it means, in one sentence.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Cause(cause) => cause.text(),
            Self::Reason(reason) => reason.text(),
            Self::Finding(finding) => finding.text(),
        }
    }

    /// The whole page for people.
    pub(crate) fn render(self) -> String {
        match self {
            Self::Cause(cause) => {
                let end = cause.end().map_or("none", |end| end.state().as_str());
                format!(
                    "{}: {}\n\n  remedy     {}\n  charged    {}\n  run ends   {end}\n  exit code  {}\n",
                    cause.code(),
                    cause.text(),
                    cause.remedy(),
                    charged(cause.charge()),
                    cause.exit_code(),
                )
            }
            Self::Reason(reason) => format!(
                "{}: {}\n\n  remedy     {}\n  kind       {}\n  exit code  1; nothing was changed\n",
                reason.code(),
                reason.text(),
                reason.remedy(),
                reason.kind_name(),
            ),
            Self::Finding(finding) => format!(
                "{}: {}\n\n  remedy     {}\n  matters    {}\n  severity   {}\n",
                finding.code(),
                finding.text(),
                finding.remedy(),
                finding.matters(),
                finding.severity_name(),
            ),
        }
    }

    /// The whole page for programs.
    pub(crate) fn json(self) -> Value {
        match self {
            Self::Cause(cause) => json!({
                "code": cause.code(),
                "type": "cause",
                "text": cause.text(),
                "remedy": cause.remedy(),
                "charge": cause.charge_name(),
                "end_state": cause.end().map(|end| end.state().as_str()),
                "exit_code": cause.exit_code(),
            }),
            Self::Reason(reason) => json!({
                "code": reason.code(),
                "type": "reason",
                "text": reason.text(),
                "remedy": reason.remedy(),
                "kind": reason.kind_name(),
                "exit_code": 1,
            }),
            Self::Finding(finding) => json!({
                "code": finding.code(),
                "type": "finding",
                "text": finding.text(),
                "remedy": finding.remedy(),
                "matters": finding.matters(),
                "severity": finding.severity_name(),
            }),
        }
    }
}

fn charged(charge: Charge) -> &'static str {
    match charge {
        Charge::Attempt => "one of the phase's attempts",
        Charge::Infrastructure => "the phase's infrastructure budget",
        Charge::Crash => "one of the phase's three crash credits",
        Charge::Nothing => "nothing; the attempt is repeated",
        Charge::Pause => "nothing; the attempt is repeated after the time that was asked for",
        Charge::Final => "the phase fails at once: no repetition can help",
    }
}

/// Edits from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_in_any_spelling() {
        for page in Page::all() {
            assert_eq!(
                Page::find(&page.code().to_lowercase().replace('_', "-")),
                Ok(page)
            );
            assert!(page.render().contains(page.text()));
            assert_eq!(page.json()["code"], page.code());
        }
    }

    #[test]
    fn an_unknown_code_gets_the_closest() {
        assert_eq!(Page::find("GATE_FAILD").unwrap_err()[0], "GATE_FAILED");
        assert!(Page::find("BUDGET").unwrap_err().contains(&"BUDGET_TOKENS"));
        assert!(
            Page::find("qqqqqqqqqqqqqqqqqqqqqqqqqqqqq")
                .unwrap_err()
                .is_empty()
        );
    }
}
