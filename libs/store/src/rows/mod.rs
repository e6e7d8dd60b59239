//! Conversions between rows and domain records: reading checks every value, writing is total.

pub mod attempt;
pub mod backlog;
pub mod event;
pub mod issue;
pub mod job;
pub mod phase;
pub mod promotion;
pub mod run;
pub mod tier;

use autopack_domain::{budget::Account, issue::IssueCounts, tier::PhaseCounts, time::Timestamp};

use crate::CorruptRow;

/// Parses one column, or says which one does not parse and what form it should have.
pub(crate) fn parse<T>(
    table: &'static str,
    id: &str,
    column: &'static str,
    value: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, CorruptRow> {
    parse(value).ok_or_else(|| {
        let form = match column {
            "uid" | "run_uid" | "job_uid" | "worker_uid" | "attempt_uid" | "current_attempt" => {
                "a UUID"
            }
            "id" => autopack_domain::ids::ID_RULE,
            _ => "the JSON that this version writes",
        };
        corrupt(table, id, column, value, form.to_owned())
    })
}

/// Parses a column of a closed list, or says which values are in it.
pub(crate) fn closed<T>(
    table: &'static str,
    id: &str,
    column: &'static str,
    value: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    spellings: impl FnOnce() -> Vec<&'static str>,
) -> Result<T, CorruptRow> {
    parse(value).ok_or_else(|| corrupt(table, id, column, value, spellings().join(", ")))
}

/// The codes of all causes.
pub(crate) fn causes() -> Vec<&'static str> {
    autopack_domain::Cause::ALL
        .iter()
        .map(|c| c.code())
        .collect()
}

pub(crate) fn corrupt(
    table: &'static str,
    id: &str,
    column: &'static str,
    value: &str,
    valid: String,
) -> CorruptRow {
    CorruptRow {
        table,
        id: id.to_owned(),
        column,
        value: value.chars().take(100).collect(),
        valid,
    }
}

pub(crate) fn account(cap: Option<i64>, reserved: i64, settled: i64) -> Account {
    Account {
        cap: cap.map(unsigned),
        reserved: unsigned(reserved),
        settled: unsigned(settled),
    }
}

pub(crate) fn counts(values: [i64; 7]) -> PhaseCounts {
    let [
        queued,
        executing,
        gate,
        ci_running,
        complete,
        failed,
        skipped,
    ] = values.map(small);
    PhaseCounts {
        queued,
        executing,
        gate,
        ci_running,
        complete,
        failed,
        skipped,
    }
}

pub(crate) fn issue_counts(values: [i64; 3]) -> IssueCounts {
    let [minor, major, resolved] = values.map(small);
    IssueCounts {
        minor,
        major,
        resolved,
    }
}

/// Counters are never negative; a negative one in the database reads as zero and the doctor reports it.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

pub(crate) fn time(value: Option<i64>) -> Option<Timestamp> {
    value.map(Timestamp)
}
