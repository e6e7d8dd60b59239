//! Crashes at named places, in builds for crash tests only.
//!
//! Invariant: without the feature `failpoints` nothing here does anything.

/// Ends the process at the place that `AUTOPACK_FAILPOINT` names; in builds for crash tests only.
pub fn hit(name: &str) {
    #[cfg(feature = "failpoints")]
    crash_at(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

/// `AUTOPACK_FAILPOINT=registry.after_commit=3`: at the third time.
#[cfg(feature = "failpoints")]
fn crash_at(name: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static LEFT: std::sync::LazyLock<Option<(String, AtomicU32)>> =
        std::sync::LazyLock::new(|| {
            let text = crate::config::environment("AUTOPACK_FAILPOINT")?;
            let (name, times) = text.split_once('=').unwrap_or((&text, "1"));
            Some((name.to_owned(), AtomicU32::new(times.parse().unwrap_or(1))))
        });
    if let Some((at, left)) = &*LEFT
        && at == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
