//! The crash windows of the process that serves, by name; the crash tests hit each.

/// A run was read, and its files are not written yet.
#[expect(
    unreachable_pub,
    reason = "lists of failpoints have the same form in every service"
)]
pub const BEFORE_FILES: &str = "files.before_write";
