//! The crash windows of the process that serves, by name; a crash test hits each.

/// Every name.
#[cfg(test)]
pub(crate) const ALL: &[&str] = &["files.before_write"];
