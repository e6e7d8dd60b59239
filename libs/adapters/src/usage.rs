//! Tokens in one form, and the rule that checks them.
//!
//! Invariant: a counter that nobody told is absent, never zero; the total is the agent's own where it gives one.

use autopack_domain::usage::{Provenance, Usage};

/// The four counters. Reasoning is part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input that no cache served.
    pub uncached: Option<u64>,
    /// Input that a cache served.
    pub cache_read: Option<u64>,
    /// Input that was written to a cache.
    pub cache_write: Option<u64>,
    /// Output, reasoning inside.
    pub output: Option<u64>,
}

impl Tokens {
    /// The sum of what is known; `None`: nothing is.
    pub fn sum(&self) -> Option<u64> {
        self.known().reduce(u64::saturating_add)
    }

    /// The input of all kinds; `None`: nothing of it is known.
    pub fn input(&self) -> Option<u64> {
        [self.uncached, self.cache_read, self.cache_write]
            .into_iter()
            .flatten()
            .reduce(u64::saturating_add)
    }

    /// Whether a counter is missing.
    pub fn is_partial(&self) -> bool {
        self.known().count() < 4
    }

    fn known(&self) -> impl Iterator<Item = u64> {
        [
            self.uncached,
            self.cache_read,
            self.cache_write,
            self.output,
        ]
        .into_iter()
        .flatten()
    }

    fn counters(&mut self) -> [&mut Option<u64>; 4] {
        [
            &mut self.cache_read,
            &mut self.cache_write,
            &mut self.uncached,
            &mut self.output,
        ]
    }

    /// Counter by counter.
    pub(crate) fn plus(self, other: Self) -> Self {
        let add = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        Self {
            uncached: add(self.uncached, other.uncached),
            cache_read: add(self.cache_read, other.cache_read),
            cache_write: add(self.cache_write, other.cache_write),
            output: add(self.output, other.output),
        }
    }
}

/// What one attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metered {
    /// The counters.
    pub tokens: Tokens,
    /// All tokens.
    pub total: u64,
    /// Money in millionths of a dollar, if told.
    pub micros: Option<u64>,
    /// Where the numbers came from.
    pub provenance: Provenance,
    /// More was used than is told here.
    pub partial: bool,
}

impl Metered {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        tokens: Tokens {
            uncached: None,
            cache_read: None,
            cache_write: None,
            output: None,
        },
        total: 0,
        micros: None,
        provenance: Provenance::Unknown,
        partial: true,
    };

    /// A program that uses no model.
    pub const NONE: Self = Self {
        tokens: Tokens {
            uncached: Some(0),
            cache_read: Some(0),
            cache_write: Some(0),
            output: Some(0),
        },
        total: 0,
        micros: None,
        provenance: Provenance::Reported,
        partial: false,
    };

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.provenance != Provenance::Unknown
    }

    /// As the registry books it.
    pub fn usage(&self, provider: &str, model: &str) -> Usage {
        // A split is told only if it adds up to the total.
        let split = self
            .tokens
            .input()
            .zip(self.tokens.output)
            .filter(|(input, output)| input.checked_add(*output) == Some(self.total));
        Usage {
            provider: provider.to_owned(),
            model: model.to_owned(),
            role: "builder".to_owned(),
            purpose: String::new(),
            total: self.total,
            prompt: split.map(|(input, _)| input),
            completion: split.map(|(_, output)| output),
            provenance: self.provenance,
        }
    }
}

/// The check rule: the counters must add up to the agent's own total. A counter that explains a surplus is made
/// unknown. Answers the total, and whether the figures disagreed.
pub fn check(tokens: &mut Tokens, own_total: Option<u64>) -> (u64, bool) {
    let sum = tokens.sum().unwrap_or(0);
    let Some(own) = own_total else {
        return (sum, false);
    };
    if own == sum || (own > sum && tokens.is_partial()) {
        return (own, false);
    }
    let difference = own.abs_diff(sum);
    for counter in tokens.counters() {
        if *counter == Some(difference) {
            *counter = None;
            break;
        }
    }
    (own, true)
}

/// A guess from the bytes of prompt and answer: four bytes a token.
pub fn estimate(prompt_bytes: u64, answer_bytes: u64) -> Metered {
    let tokens = Tokens {
        uncached: Some(prompt_bytes.div_ceil(4)),
        output: Some(answer_bytes.div_ceil(4)),
        ..Tokens::default()
    };
    Metered {
        tokens,
        total: tokens.sum().unwrap_or(0),
        micros: None,
        provenance: Provenance::Estimated,
        partial: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(uncached: u64, read: u64, write: u64, output: u64) -> Tokens {
        Tokens {
            uncached: Some(uncached),
            cache_read: Some(read),
            cache_write: Some(write),
            output: Some(output),
        }
    }

    #[test]
    fn counters_that_add_up_are_left_alone() {
        let mut fits = tokens(1, 2, 3, 4);
        assert_eq!(check(&mut fits, Some(10)), (10, false));
        assert_eq!(check(&mut fits, None), (10, false));
        assert_eq!(fits, tokens(1, 2, 3, 4));
    }

    #[test]
    fn the_counter_that_explains_a_difference_becomes_unknown() {
        // The cache is inside the input already.
        let mut double = tokens(100, 60, 0, 10);
        assert_eq!(check(&mut double, Some(110)), (110, true));
        assert_eq!((double.cache_read, double.uncached), (None, Some(100)));
        let mut odd = tokens(100, 60, 0, 10);
        assert_eq!(check(&mut odd, Some(111)), (111, true));
        assert_eq!(odd, tokens(100, 60, 0, 10));
    }

    #[test]
    fn a_missing_counter_may_hold_the_rest_but_no_less_than_nothing() {
        let mut partial = Tokens {
            cache_write: None,
            ..tokens(5, 5, 0, 5)
        };
        assert_eq!(check(&mut partial, Some(40)), (40, false));
        assert_eq!(check(&mut partial, Some(10)), (10, true));
    }

    #[test]
    fn a_split_is_booked_only_if_it_adds_up() {
        let metered = Metered {
            tokens: tokens(1, 2, 3, 4),
            total: 10,
            ..Metered::NONE
        };
        let usage = metered.usage("p", "m");
        assert_eq!(
            (usage.total, usage.prompt, usage.completion),
            (10, Some(6), Some(4))
        );
        let more = Metered {
            total: 12,
            ..metered
        };
        assert_eq!(more.usage("p", "m").prompt, None);
    }
}
