//! The clock. Wall time is for records and due times; monotonic time is for deadlines.
//!
//! Invariant: the only place that reads the system's clock.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use autopack_domain::time::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Wall time. May jump.
    fn now(&self) -> Timestamp;

    /// Time since the clock was made. Never goes back.
    fn monotonic(&self) -> Duration;
}

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Timestamp(micros)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct FakeClock {
    times: Mutex<(Timestamp, Duration)>,
}

impl FakeClock {
    /// A clock at this wall time, its monotonic time at zero.
    pub fn at(now: Timestamp) -> Self {
        Self {
            times: Mutex::new((now, Duration::ZERO)),
        }
    }

    /// Both times go on.
    pub fn advance(&self, by: Duration) {
        self.change(|(now, monotonic)| {
            *now = now.plus(by);
            *monotonic += by;
        });
    }

    /// Wall time jumps, forwards or back; monotonic time does not notice.
    pub fn jump_to(&self, wall: Timestamp) {
        self.change(|(now, _)| *now = wall);
    }

    fn change(&self, how: impl FnOnce(&mut (Timestamp, Duration))) {
        how(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read(&self) -> (Timestamp, Duration) {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FakeClock {
    /// 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp(1_767_225_600_000_000))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.read().0
    }

    fn monotonic(&self) -> Duration {
        self.read().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_goes_on_and_is_of_this_century() {
        let clock = SystemClock::new();
        let (wall, monotonic) = (clock.now(), clock.monotonic());
        assert!(wall > FakeClock::at(Timestamp(1_700_000_000_000_000)).now());
        assert!(clock.monotonic() >= monotonic);
    }

    #[test]
    fn a_jump_of_wall_time_does_not_move_monotonic_time() {
        let clock = FakeClock::default();
        clock.advance(Duration::from_secs(5));
        clock.jump_to(Timestamp(7));
        assert_eq!(clock.now(), Timestamp(7));
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
