//! From a phase's limits to a sandboxed shell line.
//!
//! Invariant: every untrusted command of a phase gets its limits here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use autopack_domain::plan::LimitSpec;
use autopack_sandbox::{Confine, Limits, Spec};

use crate::repo::bench::Bench;

const MIB: u64 = 1024 * 1024;
/// At this much output a command is ended.
const OUTPUT: u64 = 1024 * MIB;

/// One shell line to run at a bench.
pub(crate) struct Line<'a> {
    pub(crate) run: &'a str,
    pub(crate) cwd: PathBuf,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) timeout_seconds: u32,
    pub(crate) confine: Confine,
    /// Bytes that were in the folders before and do not count.
    pub(crate) bytes_before: u64,
}

impl Line<'_> {
    /// The line within the limits.
    pub(crate) fn within(self, limits: &LimitSpec, bench: &Bench) -> Spec {
        let mut spec = Spec::shell(self.run, self.cwd);
        spec.env = self.env;
        spec.confine = self.confine;
        within(
            &mut spec,
            limits,
            bench,
            self.timeout_seconds,
            self.bytes_before,
        );
        spec
    }
}

/// A command within the limits of its phase. `bytes_before` were in the folders before and do not count.
pub(crate) fn within(
    spec: &mut Spec,
    limits: &LimitSpec,
    bench: &Bench,
    timeout_seconds: u32,
    bytes_before: u64,
) {
    spec.watch_dirs = vec![bench.tree(), bench.home(), bench.tmp(), bench.exchange()];
    spec.limits = Limits {
        wall: Duration::from_secs(u64::from(timeout_seconds.max(1))),
        cpu: nonzero(limits.cpu_seconds).map(Duration::from_secs),
        memory_bytes: nonzero(limits.memory_mb).map(|mb| mb * MIB),
        disk_bytes: nonzero(limits.disk_mb).map(|mb| mb * MIB + bytes_before),
        processes: Some(limits.processes).filter(|n| *n > 0),
        output_bytes: Some(OUTPUT),
        ..Limits::default()
    };
}

fn nonzero(value: u32) -> Option<u64> {
    Some(u64::from(value)).filter(|value| *value > 0)
}
