//! Deliverables: what a phase must leave behind (SEMANTICS 5.9).
//!
//! Invariant: an entry that cannot be read is missing, never met.

use crate::scope::Entry;

/// The declared deliverables that the tree lacks, in the order declared. A trailing `/` asks for at
/// least one file below, a glob for at least one match.
pub fn missing_deliverables(declared: &[String], tree_paths: &[String]) -> Vec<String> {
    declared
        .iter()
        .filter(|text| match Entry::parse(text, false) {
            Ok(entry) => !tree_paths.iter().any(|path| entry.names(path)),
            Err(_) => true,
        })
        .cloned()
        .collect()
}
