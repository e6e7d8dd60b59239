//! Models behind HTTP endpoints: which there are, whether they may be asked, and one question at a time.
//!
//! Invariant: no lock is held while a call runs, and every call that was let through is settled with its provider's
//! breaker, also one that is dropped.

mod call;
mod http;
mod list;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use autopack_policy::provider::{Bounds, Breaker, Outcome, Spent, Wait};
use tokio::time::Instant;

pub(crate) use call::{Asked, Question, ask};
pub use list::{Entry, Key, LIST, List, Provider, Target};

/// The list, and how its providers have shown themselves since this worker began.
#[derive(Debug)]
pub(crate) struct Models {
    pub(crate) list: List,
    bounds: Bounds,
    breakers: Mutex<BTreeMap<String, Breaker>>,
    spent: Mutex<BTreeMap<String, Spent>>,
    began: Instant,
}

impl Models {
    pub(crate) fn new(list: List, bounds: Bounds) -> Self {
        Self {
            list,
            bounds,
            breakers: Mutex::default(),
            spent: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// Whether a provider may be asked now; asking for that changes nothing.
    pub(crate) fn held(&self, provider: &str) -> Option<Wait> {
        self.with(provider, |breaker, now| breaker.held(now))
    }

    /// Tokens were used at a provider.
    pub(crate) fn spend(&self, provider: &str, tokens: u64) {
        let now = self.began.elapsed();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent
            .entry(provider.to_owned())
            .or_default()
            .add(now, tokens);
    }

    /// Whether too much of a provider's week is used, as far as this worker used it since it began.
    pub(crate) fn over(&self, provider: &str) -> Option<Wait> {
        let cap = self.list.providers.get(provider)?.weekly_tokens?;
        let now = self.began.elapsed();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.get_mut(provider)?.over(now, cap)
    }

    /// A call wants to pass; the permit settles it.
    pub(crate) fn admit(&self, provider: &str) -> Result<Permit<'_>, Wait> {
        self.with(provider, Breaker::admit)?;
        Ok(Permit {
            models: self,
            provider: provider.to_owned(),
            open: true,
        })
    }

    /// A call that was not ours showed something of a provider: that of an agent.
    pub(crate) fn note(&self, provider: &str, outcome: Outcome) -> Wait {
        self.with(provider, |breaker, now| breaker.settle(now, outcome))
    }

    /// State and changes of a provider's breaker, for facts.
    pub(crate) fn shown(&self, provider: &str) -> serde_json::Value {
        self.with(provider, |breaker, _| {
            let counts = breaker.counts();
            serde_json::json!({
                "state": breaker.state().as_str(),
                "calls": counts.wanted,
                "rejected": counts.rejected,
                "answered": counts.answered,
                "failed": counts.failed,
                "changes": counts.changes,
            })
        })
    }

    fn with<T>(&self, provider: &str, look: impl FnOnce(&mut Breaker, Duration) -> T) -> T {
        let now = self.began.elapsed();
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers
            .entry(provider.to_owned())
            .or_insert_with(|| Breaker::new(self.bounds));
        look(breaker, now)
    }
}

/// A call that was let through.
#[derive(Debug)]
pub(crate) struct Permit<'m> {
    models: &'m Models,
    provider: String,
    open: bool,
}

impl Permit<'_> {
    /// It has ended so.
    pub(crate) fn settle(mut self, outcome: Outcome) -> Wait {
        self.open = false;
        self.models.note(&self.provider, outcome)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.open {
            self.models.note(&self.provider, Outcome::Nothing);
        }
    }
}
