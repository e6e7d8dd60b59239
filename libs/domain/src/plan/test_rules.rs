//! What a gate expects of tests: how a step's results are read, and what may happen to single tests.
//!
//! Invariant: a rule that a plan leaves out is not stored, so a plan that says nothing of tests keeps its digest.

use serde::{Deserialize, Serialize};

use super::model::closed;
use crate::time::Timestamp;

closed!(
    /// The form in which a test runner tells its results.
    ReportKind {
        /// XML files of the JUnit family: Maven, Gradle, pytest and many others.
        Junit = "junit",
        /// What pytest prints.
        Pytest = "pytest",
        /// What Python's unittest prints with `-v`.
        Unittest = "unittest",
        /// What `cargo test` prints.
        Cargo = "cargo",
        /// What cargo-nextest prints.
        Nextest = "nextest",
        /// What `go test` prints, with `-v` or `-json`.
        Go = "go",
        /// What `node --test` prints, as text or TAP.
        Node = "node",
        /// The JSON of jest.
        Jest = "jest",
        /// The JSON of vitest.
        Vitest = "vitest",
        /// The Test Anything Protocol.
        Tap = "tap",
    }
);

closed!(
    /// What a test means that is red on the base as well.
    KnownFailures {
        /// The gate is red, whoever broke the test.
        Refuse = "refuse",
        /// A result is good if nothing fails but what a run on the base has shown to fail.
        Allow = "allow",
    }
);

/// How the results of one step are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSpec {
    /// Its form.
    pub kind: ReportKind,
    /// A file or folder that the step writes, relative to the repository; empty: what the step prints.
    #[serde(default)]
    pub path: String,
}

/// A test that is known to be flaky.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The test's id, or a pattern with `*`.
    pub id: String,
    /// The last day, `YYYY-MM-DD` in UTC; from the next day on the test is like any other.
    pub until: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What may happen to tests. Ids may be patterns, in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRules {
    /// Whether the tests of the result are compared with those of the base.
    pub integrity: bool,
    /// Tests that the phase may remove or rename.
    pub may_remove: Vec<String>,
    /// Tests that the phase may switch off.
    pub may_skip: Vec<String>,
    /// Tests that may lose all that they assert.
    pub may_empty: Vec<String>,
    /// Tests that must be red before the change and green with it.
    pub promised: Vec<String>,
    /// Tests that are known to be flaky.
    pub quarantine: Vec<Quarantined>,
    /// What a test means that is red on the base as well.
    pub known_failures: KnownFailures,
    /// How often a red step is run again on the same tree, to find out whether its tests are flaky.
    pub reruns: u32,
}

/// Reruns of a red step, if the plan does not say.
pub const RERUNS: u32 = 1;

impl Default for TestRules {
    fn default() -> Self {
        Self {
            integrity: true,
            may_remove: Vec::new(),
            may_skip: Vec::new(),
            may_empty: Vec::new(),
            promised: Vec::new(),
            quarantine: Vec::new(),
            known_failures: KnownFailures::Refuse,
            reruns: RERUNS,
        }
    }
}

impl TestRules {
    /// Whether the plan says nothing of tests.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Quarantined {
    /// The first moment at which it no longer holds; `None`: `until` is no day.
    pub fn ends(&self) -> Option<Timestamp> {
        const DAY: i64 = 86_400_000_000;
        Some(Timestamp((days(&self.until)? + 1) * DAY))
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar written `YYYY-MM-DD`; `None`: it is none.
fn days(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |part: &str| -> Option<i64> {
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let (year, month, day) = (
        number(text.get(..4)?)?,
        number(text.get(5..7)?)?,
        number(text.get(8..)?)?,
    );
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > length || year < 1970 {
        return None;
    }
    // Years begin in March, so that the leap day is the last of its year.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468)
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn a_day_is_one_of_the_calendar() {
        for (text, found) in [
            ("1970-01-01", Some(0)),
            ("1970-03-01", Some(59)),
            ("2000-02-29", Some(11_016)),
            ("2026-11-22", Some(20_779)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-1-01", None),
            ("26-01-0001", None),
            ("2026-+1-01", None),
            ("soon", None),
            ("ä026-01-0", None),
        ] {
            assert_eq!(days(text), found, "{text}");
        }
    }

    #[test]
    fn the_last_day_is_a_whole_one() {
        let entry = Quarantined {
            id: "a".into(),
            until: "1970-01-01".into(),
            reason: String::new(),
        };
        assert_eq!(entry.ends(), Some(Timestamp(86_400_000_000)));
    }
}
