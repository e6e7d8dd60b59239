//! How large a change may be (SEMANTICS 5.10).
//!
//! Invariant: the sum is counted without overflow, and a deletion counts as a file of no size.

use autopack_domain::Cause;
use autopack_domain::plan::LimitSpec;

use super::{Change, ChangeSet, Violation};

/// All new contents of a change together, in bytes.
pub const TOTAL_BYTES: u64 = 50 * 1024 * 1024;

pub(super) fn file(change: &Change, shown: &str, limits: &LimitSpec, found: &mut Vec<Violation>) {
    let limit = u64::from(limits.file_kb) * 1024;
    if change.size > limit {
        let detail = format!("{} bytes; a file may have {limit}", change.size);
        found.push(Violation::new(Cause::ChangeTooLarge, shown, detail));
    }
}

pub(super) fn whole(changes: &ChangeSet, limits: &LimitSpec, found: &mut Vec<Violation>) {
    let files = changes.entries.len();
    if files > limits.files as usize {
        let detail = format!("{files} files; a change may have {}", limits.files);
        found.push(Violation::new(Cause::ChangeTooLarge, "", detail));
    }
    let total = changes
        .entries
        .iter()
        .fold(0u64, |sum, change| sum.saturating_add(change.size));
    if total > TOTAL_BYTES {
        let detail = format!("{total} bytes in all; a change may have {TOTAL_BYTES}");
        found.push(Violation::new(Cause::ChangeTooLarge, "", detail));
    }
}
