//! How many tests ran, as the runner's own summary says.
//!
//! Invariant: per runner the last plausible summary counts (Cargo, Maven and nextest print one for each
//! part: these are summed), so text that a test prints before the summary does not count.
//!
//! Limits: a test prints to the same stream as its runner. One that prints a false summary after the
//! true one, or false lines where sums are made, changes the count; it cannot turn a red gate green,
//! because a non-zero exit is red whatever is printed. Where a runner prints no count the answer is
//! `None`: unknown, not zero.

mod cargo;
mod go;
mod java;
mod node;
mod other;
pub(crate) mod python;

use autopack_domain::gate::TestCounts;

use crate::text::{Pattern, plain};

/// What one runner's summary says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) counts: TestCounts,
    /// The runner itself says that it found nothing to run, so a non-zero exit is no test's doing.
    pub(crate) found_none: bool,
}

impl Report {
    pub(crate) fn of(passed: u64, failed: u64, skipped: u64) -> Self {
        let counts = TestCounts {
            passed,
            failed,
            skipped,
        };
        Self {
            counts,
            found_none: false,
        }
    }

    pub(crate) fn none_found() -> Self {
        Self {
            counts: TestCounts::default(),
            found_none: true,
        }
    }

    /// Tests that ran.
    pub(crate) fn ran(&self) -> u64 {
        self.counts.passed.saturating_add(self.counts.failed)
    }

    fn plus(self, other: Self) -> Self {
        let (a, b) = (self.counts, other.counts);
        Self {
            counts: TestCounts {
                passed: a.passed.saturating_add(b.passed),
                failed: a.failed.saturating_add(b.failed),
                skipped: a.skipped.saturating_add(b.skipped),
            },
            found_none: self.found_none && other.found_none,
        }
    }
}

struct Runner {
    /// Matches a command line that names the runner.
    named_by: Pattern,
    read: fn(&str) -> Option<Report>,
}

static RUNNERS: [Runner; 14] = [
    Runner {
        named_by: Pattern::new(r"\b(py\.?test)\b"),
        read: python::pytest,
    },
    Runner {
        named_by: Pattern::new(r"\bunittest\b|manage\.py test\b"),
        read: python::unittest,
    },
    Runner {
        named_by: Pattern::new(r"\bcargo\b.*\b(test|t|nextest)\b"),
        read: cargo::read,
    },
    Runner {
        named_by: Pattern::new(r"\bgo\s+(\S+\s+)*test\b|\bgotestsum\b"),
        read: go::read,
    },
    Runner {
        named_by: Pattern::new(r"\bnode\b.*--test\b|\btape\b"),
        read: node::built_in,
    },
    Runner {
        named_by: Pattern::new(r"\bjest\b"),
        read: node::jest,
    },
    Runner {
        named_by: Pattern::new(r"\bvitest\b"),
        read: node::vitest,
    },
    Runner {
        named_by: Pattern::new(r"\bmocha\b"),
        read: node::mocha,
    },
    Runner {
        named_by: Pattern::new(r"\bdeno\s+test\b"),
        read: node::deno,
    },
    Runner {
        named_by: Pattern::new(r"\bbun\s+test\b"),
        read: node::bun,
    },
    Runner {
        named_by: Pattern::new(r"\b(mvnw?|mvnd)\b"),
        read: java::maven,
    },
    Runner {
        named_by: Pattern::new(r"\bgradlew?\b"),
        read: java::gradle,
    },
    Runner {
        named_by: Pattern::new(r"\b(prove|bats)\b"),
        read: other::tap,
    },
    Runner {
        named_by: Pattern::new(r"\b(ctest|rspec|phpunit|dotnet)\b"),
        read: other::summaries,
    },
];

/// The counts that the output of a command reports; `None` where no known summary is found.
///
/// A command that names its runners is read by these only; any other (`make test`, `npm test`, a
/// script) by all, and what they find is summed.
pub fn counts(output: &str, command: &str) -> Option<TestCounts> {
    report(output, command).map(|report| report.counts)
}

pub(crate) fn report(output: &str, command: &str) -> Option<Report> {
    let text = plain(output);
    let named: Vec<&Runner> = RUNNERS
        .iter()
        .filter(|runner| runner.named_by.is_match(command))
        .collect();
    let asked: Vec<&Runner> = if named.is_empty() {
        RUNNERS.iter().collect()
    } else {
        named
    };
    asked
        .into_iter()
        .filter_map(|runner| (runner.read)(&text))
        .reduce(Report::plus)
}
