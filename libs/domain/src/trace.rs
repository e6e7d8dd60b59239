//! The trace of a run: ids that everybody can compute from the run's own ids.
//!
//! Invariant: the same run, phase or attempt has the same ids in every process and after every restart, so that
//! whoever learns of an end can tell it, and whoever works below can name its parent before that is told.

use std::fmt;

use uuid::Uuid;

use crate::ids::{AttemptUid, RunUid};

/// The fact of a run that holds its trace context; absent: the run is not traced.
pub const CONTEXT_FACT: &str = "traceparent";
/// The fact of a run that holds the trace context of whoever created it.
pub const CALLER_FACT: &str = "traceparent_of_caller";

/// A place in a trace, as W3C trace context names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never zero.
    pub trace: u128,
    /// The span; never zero.
    pub span: u64,
    /// Whether the trace is kept.
    pub sampled: bool,
}

impl TraceContext {
    /// The run's root: the trace id is the run's uid without its dashes.
    pub fn of_run(run: RunUid, sampled: bool) -> Self {
        Self {
            trace: run.0.as_u128().max(1),
            span: run_span(run, 0),
            sampled,
        }
    }

    /// An attempt in the same trace.
    pub fn of_attempt(self, attempt: AttemptUid) -> Self {
        Self {
            span: attempt_span(attempt),
            ..self
        }
    }

    /// Reads a `traceparent`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower = |part: &str, length: usize| {
            part.len() == length
                && part
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let well = lower(version, 2)
            && version != "ff"
            && (version != "00" || parts.next().is_none())
            && lower(trace, 32)
            && lower(span, 16)
            && lower(flags, 2);
        if !well {
            return None;
        }
        let context = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (context.trace != 0 && context.span != 0).then_some(context)
    }
}

impl fmt::Display for TraceContext {
    /// As a `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// The span of a run; `ended`: how often it had ended before, as a failed run may be reopened.
pub fn run_span(run: RunUid, ended: u32) -> u64 {
    mix(run.0, 1, u64::from(ended))
}

/// The span of a phase; `ended`: how often it had ended before.
pub fn phase_span(run: RunUid, phase: usize, ended: u32) -> u64 {
    mix(run.0, 2 + phase as u64, u64::from(ended))
}

/// The span of an attempt.
pub fn attempt_span(attempt: AttemptUid) -> u64 {
    mix(attempt.0, 0, 0)
}

/// Spreads an id and two numbers over 64 bits (splitmix64, a step each); never zero.
fn mix(id: Uuid, what: u64, which: u64) -> u64 {
    let (high, low) = id.as_u64_pair();
    let mixed = [high, low, what, which]
        .into_iter()
        .fold(0_u64, |state, part| {
            let mut z = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
    mixed.max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const RUN: RunUid = RunUid(Uuid::from_u128(0x0197_a4c2_0000_7000_8000_0000_0000_0001));

    #[test]
    fn a_context_is_read_as_it_is_written() {
        for sampled in [true, false] {
            let run = TraceContext::of_run(RUN, sampled);
            assert_eq!(TraceContext::parse(&run.to_string()), Some(run));
        }
        let text = TraceContext::of_run(RUN, true).to_string();
        assert_eq!(text[3..35], RUN.to_string().replace('-', ""));
    }

    #[test]
    fn what_is_no_context_is_none() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(TraceContext::parse(good).is_some_and(|context| context.sampled));
        assert!(TraceContext::parse(&format!("01{}-later", &good[2..])).is_some());
        for bad in [
            "",
            "00",
            &format!("{good}-more"),
            &good.to_uppercase(),
            &format!("ff{}", &good[2..]),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn spans_of_a_run_differ() {
        let mut seen = BTreeSet::new();
        for ended in 0..10 {
            assert!(seen.insert(run_span(RUN, ended)));
            for phase in 0..500 {
                assert!(seen.insert(phase_span(RUN, phase, ended)));
            }
        }
        let attempts =
            (0..500_u128).map(|n| attempt_span(AttemptUid(Uuid::from_u128(RUN.0.as_u128() + n))));
        assert!(attempts.into_iter().all(|span| seen.insert(span)));
    }
}
