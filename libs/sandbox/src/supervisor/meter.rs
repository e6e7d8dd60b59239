//! Samples what the tree uses.
//!
//! Invariant: sampling takes at most a twentieth of a processor, whatever the size of the process table.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};

use super::host;
use crate::tree::{self, Process};
use crate::{End, Limits};

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);
/// How often the number of processes is looked at, which costs next to nothing.
const GLANCE: Duration = Duration::from_millis(10);

/// The sampler.
pub(super) struct Meter {
    me: i32,
    page: u64,
    ticks_per_second: u64,
    peak: u64,
    due: Instant,
    glance_due: Instant,
    /// The number of threads on the host at which a fork bomb is suspected.
    suspicious: Option<u64>,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        let value = |which, default| {
            sysconf(which)
                .ok()
                .flatten()
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or(default)
        };
        Self {
            me: std::process::id() as i32,
            page: value(SysconfVar::PAGE_SIZE, 4096),
            ticks_per_second: value(SysconfVar::CLK_TCK, 100).max(1),
            peak: 0,
            due: Instant::now() + SHORTEST,
            glance_due: Instant::now() + GLANCE,
            suspicious: limits
                .processes
                .and_then(|most| Some(threads_on_host()? + u64::from(most))),
        }
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Instant {
        if self.suspicious.is_some() {
            self.due.min(self.glance_due)
        } else {
            self.due
        }
    }

    /// Does what is due; the limit that was passed, if any.
    pub(super) fn check(&mut self, limits: &Limits) -> Option<End> {
        let now = Instant::now();
        if now >= self.glance_due {
            self.glance_due = now + GLANCE;
            if self
                .suspicious
                .is_some_and(|most| threads_on_host().is_some_and(|threads| threads > most))
            {
                host::go_first(true);
                let end = self.sample(limits);
                host::go_first(false);
                return end;
            }
        }
        if now >= self.due {
            self.sample(limits)
        } else {
            None
        }
    }

    fn sample(&mut self, limits: &Limits) -> Option<End> {
        let began = Instant::now();
        let threads = threads_on_host();
        let mut live = tree::descendants(self.me, &tree::scan());
        live.retain(|process| !process.zombie);
        let end = self.judge(&live, limits);
        let room = limits
            .processes
            .map(|most| u64::from(most).saturating_sub(live.len() as u64));
        self.suspicious = room.and_then(|room| Some(threads? + room));
        let cost = began.elapsed();
        self.due = Instant::now() + (cost * 20).clamp(SHORTEST, LONGEST);
        end
    }

    fn judge(&mut self, live: &[Process], limits: &Limits) -> Option<End> {
        if limits
            .processes
            .is_some_and(|most| live.len() > most as usize)
        {
            return Some(End::ProcessLimit);
        }
        let memory = self.memory(live, limits);
        self.peak = self.peak.max(memory);
        if limits.memory_bytes.is_some_and(|most| memory > most) {
            return Some(End::MemoryLimit);
        }
        if limits.cpu.is_some_and(|most| self.cpu(live) >= most) {
            return Some(End::CpuLimit);
        }
        None
    }

    /// Resident memory of the tree. The cheap sum counts shared pages once per process: only if it is over the limit
    /// is the exact and expensive one taken.
    fn memory(&self, live: &[Process], limits: &Limits) -> u64 {
        let cheap = |process: &Process| process.resident_pages * self.page;
        let sum: u64 = live.iter().map(cheap).sum();
        if limits.memory_bytes.is_none_or(|most| sum <= most) {
            return sum;
        }
        live.iter()
            .map(|process| tree::proportional_bytes(process.pid).unwrap_or_else(|| cheap(process)))
            .sum()
    }

    fn cpu(&self, live: &[Process]) -> Duration {
        let ticks: u64 = live.iter().map(|process| process.cpu_ticks).sum();
        reaped_cpu() + Duration::from_millis(ticks * 1000 / self.ticks_per_second)
    }

    /// The largest memory seen: of the tree in a sample, or of any one process that has ended.
    pub(super) fn peak_memory(&self) -> u64 {
        let single = getrusage(UsageWho::RUSAGE_CHILDREN)
            .map_or(0, |usage| usage.max_rss().max(0).unsigned_abs());
        self.peak.max(single * 1024)
    }
}

/// Every thread of the host, in one short read.
fn threads_on_host() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_ascii_whitespace()
        .nth(3)?
        .split_once('/')?
        .1
        .parse()
        .ok()
}

/// Processor time of the processes that were waited for: of the whole tree, once nothing is left of it.
pub(super) fn reaped_cpu() -> Duration {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Duration::ZERO, |usage| {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Duration::from_micros(micros.max(0).unsigned_abs())
    })
}
