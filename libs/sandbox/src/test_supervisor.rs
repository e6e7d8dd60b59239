//! Lets a test binary be its own supervisor, whose `main` belongs to the test harness.
//!
//! Invariant: the hook does nothing unless the process was started as a supervisor. It exists only in
//! this crate's own tests and with the feature `test-supervisor`, which only `[dev-dependencies]` may switch on.

/// Runs before `main`.
#[used]
#[expect(
    unsafe_code,
    reason = "there is no safe way to run before a main that is not ours"
)]
// SAFETY: the loader calls each entry of this section once, on the first thread, after the C library and the
// arguments of the standard library have been set up (the latter by an entry of a section that sorts before).
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    if crate::supervisor_main_if_requested().is_some() {
        // What matters is in the report.
        #[expect(clippy::disallowed_methods, reason = "there is no main to return to")]
        std::process::exit(0);
    }
}
