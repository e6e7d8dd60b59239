//! Named places where a test build may crash or stop the worker.
//!
//! Invariant: every name that the worker hits stands in [`ALL`].

/// A lease was granted; nothing was done yet.
pub const AFTER_LEASE: &str = "worker.after_lease";
/// The builder has ended and its change set is known.
pub const AFTER_BUILD: &str = "worker.after_build";
/// The gate of the candidate has a verdict.
pub const AFTER_GATE: &str = "worker.after_gate";
/// The landing commit exists; the intent is not stored yet.
pub const BEFORE_PREPARE: &str = "worker.before_prepare";
/// The intent is stored; the branch has not moved.
pub const AFTER_PREPARE: &str = "worker.after_prepare";
/// The branch has moved; nobody was told.
pub const AFTER_PUSH: &str = "worker.after_push";
/// The move of a promotion is stored; the branch has not moved.
pub const PROMOTE_PREPARED: &str = "worker.promote_prepared";
/// The branch of a promotion has moved; nobody was told.
pub const PROMOTE_MOVED: &str = "worker.promote_moved";
/// The report is ready to be sent.
pub const BEFORE_SETTLE: &str = "worker.before_settle";
/// The registry has committed the report.
pub const AFTER_SETTLE: &str = "worker.after_settle";
/// The message is about to be acknowledged.
pub const BEFORE_ACK: &str = "worker.before_ack";

/// Every failpoint of the worker, in the order in which a landing hits them.
pub const ALL: &[&str] = &[
    AFTER_LEASE,
    AFTER_BUILD,
    AFTER_GATE,
    BEFORE_PREPARE,
    AFTER_PREPARE,
    AFTER_PUSH,
    PROMOTE_PREPARED,
    PROMOTE_MOVED,
    BEFORE_SETTLE,
    AFTER_SETTLE,
    BEFORE_ACK,
];
