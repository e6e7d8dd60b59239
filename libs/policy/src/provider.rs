//! When a provider of models is asked, and when it is left alone (SEMANTICS 6.2, its traps closed).
//!
//! Invariant: a breaker knows no clock and no lock: moments are handed in, and whoever asks holds nothing while the
//! call runs. Half open lets only a bounded number of probes through, and closes by successes alone, never by time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Bounds of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Failures in a row after which it is left alone.
    pub failures: u32,
    /// Successes in a row after which it is trusted again.
    pub successes: u32,
    /// How long it is left alone.
    pub open: Duration,
    /// Calls at a time while it is tried again.
    pub probes: u32,
    /// How long it may let nobody through before its pauses count as exhaustion.
    pub patience: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            failures: 5,
            successes: 2,
            open: Duration::from_mins(1),
            probes: 1,
            patience: Duration::from_hours(1),
        }
    }
}

/// Whether calls pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// They do.
    Closed,
    /// They do not.
    Open,
    /// A few do, to see.
    HalfOpen,
}

impl State {
    /// The name in facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What a call showed of its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It failed, or was not reached.
    Failed,
    /// It asks to slow down, for so long if it says.
    Paused(Option<Duration>),
    /// The account has nothing left, for so long if it says.
    Exhausted(Option<Duration>),
    /// The call says nothing about it: it was ours to blame, or was given up.
    Nothing,
}

/// How long to wait, and how sure it is that waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// At least.
    pub time: Duration,
    /// Nothing is left, or nobody was let through for too long.
    pub exhausted: bool,
}

/// Counts of a breaker's life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that wanted to pass.
    pub wanted: u64,
    /// Those that were not let through.
    pub rejected: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that failed or were refused for now.
    pub failed: u64,
    /// Changes of state, such as `closed_to_open`.
    pub changes: BTreeMap<String, u64>,
}

/// One provider, as its calls show it. Moments are spans since any fixed one.
#[derive(Clone, Debug)]
pub struct Breaker {
    bounds: Bounds,
    state: State,
    since: Duration,
    failures: u32,
    successes: u32,
    probes: u32,
    /// Refusals and failures in a row.
    refusals: u32,
    /// Since when nobody was let through.
    refusing: Option<Duration>,
    paused: Option<Duration>,
    spent_out: bool,
    counts: Counts,
}

/// The longest wait between two tries at a provider that names no time.
const LONGEST: Duration = Duration::from_mins(5);
/// The wait at an account that has nothing left, if no time is named.
const EMPTY: Duration = Duration::from_mins(15);

impl Breaker {
    /// One that lets calls through.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: State::Closed,
            since: Duration::ZERO,
            failures: 0,
            successes: 0,
            probes: 0,
            refusals: 0,
            refusing: None,
            paused: None,
            spent_out: false,
            counts: Counts::default(),
        }
    }

    /// Its state; looking changes nothing.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its counts.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Why a call would not pass now; `None`: it would. Changes nothing.
    pub fn held(&self, now: Duration) -> Option<Wait> {
        self.clone().admit(now).err()
    }

    /// Whether a call may pass. Each one that may is settled by [`Breaker::settle`], whatever becomes of it.
    pub fn admit(&mut self, now: Duration) -> Result<(), Wait> {
        self.counts.wanted += 1;
        let until = match self.paused {
            Some(until) if until > now => Some(until),
            _ => {
                self.paused = None;
                self.spent_out = false;
                let reopens = self.since + self.bounds.open;
                if self.state == State::Open && now >= reopens {
                    self.change(State::HalfOpen, now);
                }
                match self.state {
                    State::Closed => None,
                    State::Open => Some(reopens),
                    // The probe that is under way decides soon.
                    State::HalfOpen if self.probes >= self.bounds.probes => {
                        Some(now + Duration::from_secs(5))
                    }
                    State::HalfOpen => None,
                }
            }
        };
        match until {
            None => {
                if self.state == State::HalfOpen {
                    self.probes += 1;
                }
                Ok(())
            }
            Some(until) => {
                self.counts.rejected += 1;
                Err(Wait {
                    time: until.saturating_sub(now),
                    exhausted: self.spent_out || self.is_out_of_patience(now),
                })
            }
        }
    }

    /// A call that was let through has ended. How long to wait before the next one, if it was not answered.
    pub fn settle(&mut self, now: Duration, outcome: Outcome) -> Wait {
        self.probes = self.probes.saturating_sub(1);
        let time = match outcome {
            Outcome::Nothing => return self.wait(now, Duration::ZERO),
            Outcome::Answered => {
                self.counts.answered += 1;
                (self.failures, self.refusals, self.refusing) = (0, 0, None);
                if self.state == State::HalfOpen {
                    self.successes += 1;
                    if self.successes >= self.bounds.successes {
                        self.change(State::Closed, now);
                    }
                }
                return self.wait(now, Duration::ZERO);
            }
            Outcome::Failed => {
                self.note_refusal(now);
                self.failures += 1;
                if self.state == State::HalfOpen || self.failures >= self.bounds.failures {
                    self.change(State::Open, now);
                    self.bounds.open
                } else {
                    // transient_infra of SEMANTICS 6.3.
                    Duration::from_secs(5 * u64::from(self.refusals)).min(Duration::from_secs(30))
                }
            }
            Outcome::Paused(told) => {
                self.note_refusal(now);
                // transient_llm of SEMANTICS 6.3.
                let own = Duration::from_secs(60u64 << (self.refusals - 1).min(3)).min(LONGEST);
                let time = told.unwrap_or(own);
                self.paused = Some(now + time);
                time
            }
            Outcome::Exhausted(told) => {
                self.note_refusal(now);
                self.spent_out = true;
                let time = told.unwrap_or(EMPTY);
                self.paused = Some(now + time);
                time
            }
        };
        self.wait(now, time)
    }

    fn wait(&self, now: Duration, time: Duration) -> Wait {
        Wait {
            time,
            exhausted: self.spent_out || self.is_out_of_patience(now),
        }
    }

    fn note_refusal(&mut self, now: Duration) {
        self.counts.failed += 1;
        self.refusals += 1;
        self.refusing.get_or_insert(now);
    }

    fn is_out_of_patience(&self, now: Duration) -> bool {
        self.refusing
            .is_some_and(|since| now.saturating_sub(since) > self.bounds.patience)
    }

    fn change(&mut self, to: State, now: Duration) {
        if self.state != to {
            let name = format!("{}_to_{}", self.state.as_str(), to.as_str());
            *self.counts.changes.entry(name).or_default() += 1;
        }
        (self.state, self.since) = (to, now);
        (self.failures, self.successes, self.probes) = (0, 0, 0);
    }
}

/// Hours of a week.
const WEEK: u64 = 7 * 24;

/// Tokens of the last seven days, hour by hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    hours: VecDeque<(u64, u64)>,
}

impl Spent {
    /// Adds what was used at this moment.
    pub fn add(&mut self, now: Duration, tokens: u64) {
        let hour = now.as_secs() / 3600;
        match self.hours.back_mut() {
            Some((last, sum)) if *last == hour => *sum = sum.saturating_add(tokens),
            _ => self.hours.push_back((hour, tokens)),
        }
        self.forget(hour);
    }

    /// How long a provider with this weekly cap is left alone, because four fifths of it are used; `None`: it is not.
    pub fn over(&mut self, now: Duration, cap: u64) -> Option<Wait> {
        let hour = now.as_secs() / 3600;
        self.forget(hour);
        let sum = self
            .hours
            .iter()
            .fold(0, |sum: u64, (_, tokens)| sum.saturating_add(*tokens));
        let (first, _) = self.hours.front()?;
        let over = u128::from(sum) * 5 >= u128::from(cap) * 4;
        over.then(|| Wait {
            time: Duration::from_hours(first + WEEK).saturating_sub(now),
            exhausted: true,
        })
    }

    fn forget(&mut self, hour: u64) {
        while self
            .hours
            .front()
            .is_some_and(|(first, _)| first + WEEK <= hour)
        {
            self.hours.pop_front();
        }
    }
}
