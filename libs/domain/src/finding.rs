//! A finding of the self-check: what, where, why it matters, what would be valid, what mends it, and whether that is
//! safe to do without a person.
//!
//! Invariant: a finding about the database is safe only with an entry of the alias table behind it ([`crate::alias`]); one
//! about files only if writing loses nothing.

use serde::{Deserialize, Serialize};

use crate::FindingCode;

/// Where a finding is: a column of a row, a row, a table, or a place outside the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The table; outside the database what was looked at, such as `git`.
    pub table: String,
    /// Key of the row, parts joined by `/`; empty: the whole table.
    pub row: String,
    /// The column; empty: the whole row.
    pub column: String,
}

impl Place {
    /// A column of a row.
    pub fn new(
        table: impl Into<String>,
        row: impl Into<String>,
        column: impl Into<String>,
    ) -> Self {
        Self {
            table: table.into(),
            row: row.into(),
            column: column.into(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.table)?;
        if !self.row.is_empty() {
            write!(f, " {}", self.row)?;
        }
        if !self.column.is_empty() {
            write!(f, " ({})", self.column)?;
        }
        Ok(())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind; text, consequence and general remedy are in the catalogue.
    pub code: FindingCode,
    /// Where.
    pub place: Place,
    /// Id of the run that it touches; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// What exactly is wrong.
    pub problem: String,
    /// The value that was found, shortened; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The valid values, or their form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub valid: Vec<String>,
    /// What mends this one.
    pub fix: String,
    /// The value, or what else, that `--fix` writes; `None`: a person has to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<String>,
}

/// Characters of a value that a finding shows.
const SHOWN: usize = 100;

impl Finding {
    /// A finding with the remedy of the catalogue.
    pub fn new(code: FindingCode, place: Place, problem: impl Into<String>) -> Self {
        Self {
            code,
            place,
            run: String::new(),
            problem: problem.into(),
            value: None,
            valid: Vec::new(),
            fix: code.remedy().to_owned(),
            safe: None,
        }
    }

    /// Names the value, shortened.
    pub fn value(mut self, value: &str) -> Self {
        self.value = Some(value.chars().take(SHOWN).collect());
        self
    }

    /// Names the valid values, or their form.
    pub fn valid<I: IntoIterator<Item = S>, S: Into<String>>(mut self, values: I) -> Self {
        self.valid = values.into_iter().map(Into::into).collect();
        self
    }

    /// Says what mends this one.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Names the run.
    pub fn run(mut self, run: impl Into<String>) -> Self {
        self.run = run.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_its_place_and_shortens_its_value() {
        let place = Place::new("phase", "r/1", "state");
        assert_eq!(place.to_string(), "phase r/1 (state)");
        let finding = Finding::new(FindingCode::ValueUnknown, place, "is odd")
            .value(&"x".repeat(1000))
            .valid(["A"]);
        assert_eq!(finding.value.as_ref().map(String::len), Some(SHOWN));
        assert_eq!(finding.fix, FindingCode::ValueUnknown.remedy());
        assert!(finding.safe.is_none());
    }
}
