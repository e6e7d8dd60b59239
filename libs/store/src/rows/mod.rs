//! Conversions between rows and domain records: reading checks every value, writing is total.

pub mod attempt;
pub mod event;
pub mod job;
pub mod phase;
pub mod run;
pub mod tier;

use autopack_domain::{budget::Account, tier::PhaseCounts, time::Timestamp};

use crate::CorruptRow;

/// Parses one column, or says which one does not parse.
pub(crate) fn parse<T>(
    table: &'static str,
    id: &str,
    column: &'static str,
    value: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, CorruptRow> {
    parse(value).ok_or_else(|| CorruptRow {
        table,
        id: id.to_owned(),
        column,
        value: value.chars().take(100).collect(),
    })
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
