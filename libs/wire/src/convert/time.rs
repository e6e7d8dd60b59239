//! Times and spans: `google.protobuf` and the domain's microseconds.
//!
//! Invariant: every domain time goes out and comes back equal.

use std::time::Duration;

use autopack_domain::Timestamp;

use super::at::At;

const MICROS: i64 = 1_000_000;

/// A domain time as `google.protobuf.Timestamp`.
pub fn time_to_proto(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.0.div_euclid(MICROS),
        nanos: i32::try_from(time.0.rem_euclid(MICROS)).unwrap_or(0) * 1000,
    }
}

/// A span as `google.protobuf.Duration`; what is too long for it becomes the longest.
pub fn duration_to_proto(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

/// A time; what is finer than a microsecond is cut off.
pub(super) fn time_from_proto(time: &prost_types::Timestamp, at: &At<'_>) -> Option<Timestamp> {
    if !(0..1_000_000_000).contains(&time.nanos) {
        return at
            .field("nanos")
            .fault(format!("{} is not 0 to 999999999", time.nanos));
    }
    let micros = time
        .seconds
        .checked_mul(MICROS)
        .and_then(|m| m.checked_add(i64::from(time.nanos / 1000)));
    match micros {
        Some(micros) => Some(Timestamp(micros)),
        None => at
            .field("seconds")
            .fault(format!("{} is out of range", time.seconds)),
    }
}

impl At<'_> {
    /// A span that must be there and not be negative.
    pub fn duration(&self, span: Option<prost_types::Duration>) -> Option<Duration> {
        let Some(span) = span else {
            return self.fault("is missing");
        };
        match (u64::try_from(span.seconds), u32::try_from(span.nanos)) {
            (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => {
                Some(Duration::new(seconds, nanos))
            }
            _ => self.fault("is negative or not normalised"),
        }
    }
}
