//! The crash windows of the registry, by name; the crash tests hit each.

/// Every name.
pub const ALL: &[&str] = &[
    "registry.in_migration",
    "registry.before_commit",
    "registry.after_commit",
    "registry.before_publish",
    "registry.after_publish",
    "registry.before_reply",
];
