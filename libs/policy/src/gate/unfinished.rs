//! Reports that begin and never end: a test that leaves the process with exit code 0 takes the summary along.
//!
//! Invariant: a runner that said it starts must say how it ended; else its report cannot be read, and a
//! green exit code proves nothing.

use crate::text::{Pattern, plain};

static CARGO_STARTS: Pattern = Pattern::new(r"(?m)^running \d+ tests?\s*$");
static CARGO_ENDS: Pattern = Pattern::new(r"(?m)^test result: ");
static PYTEST_STARTS: Pattern =
    Pattern::new(r"(?m)^(?:=+ test session starts =+|collected [1-9]\d* items?\b.*)\s*$");
static PYTEST_ENDS: Pattern = Pattern::new(
    r"(?m)\b\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?)\b.* in [\d.]+",
);
static GO_STARTS: Pattern = Pattern::new(r"(?m)^=== RUN\s");
static GO_ENDS: Pattern = Pattern::new(r"(?m)^(?:ok|PASS|FAIL|--- FAIL)\b");

/// What the sandbox puts where it dropped the middle of an output.
const DROPPED: &str = " bytes dropped ...]";

/// Whether a test runner began and did not report its end. Output of which the middle was dropped is not judged.
pub(super) fn is_unfinished(output: &str) -> bool {
    let text = plain(output);
    if text.contains(DROPPED) {
        return false;
    }
    CARGO_STARTS.find_all(&text).count() > CARGO_ENDS.find_all(&text).count()
        || (PYTEST_STARTS.is_match(&text) && !PYTEST_ENDS.is_match(&text))
        || (GO_STARTS.is_match(&text) && !GO_ENDS.is_match(&text))
}
