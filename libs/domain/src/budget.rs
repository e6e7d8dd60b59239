//! Accounts: a cap, what is reserved for work in flight, and what is settled.
//!
//! Invariant (DESIGN rule 6): at each grant reserved + settled <= cap. An overrun is recorded and
//! closes the account; it never makes a later grant possible.

use serde::{Deserialize, Serialize};

/// One account. `cap` `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The most that may be settled.
    pub cap: Option<u64>,
    /// Held for work in flight.
    pub reserved: u64,
    /// Booked.
    pub settled: u64,
}

/// Whether a reservation can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It fits now.
    Fits,
    /// It would fit if what is in flight settles below its reservation.
    Waits,
    /// Nothing in flight could free enough.
    Exhausted,
}

impl Account {
    /// An account with this cap.
    pub fn capped(cap: Option<u64>) -> Self {
        Self {
            cap,
            reserved: 0,
            settled: 0,
        }
    }

    /// Whether `amount` can be reserved. Zero fits unless the account is overrun.
    pub fn grant(&self, amount: u64) -> Grant {
        let Some(cap) = self.cap else {
            return Grant::Fits;
        };
        let taken = self.settled.saturating_add(self.reserved);
        if taken.saturating_add(amount) <= cap && (amount == 0 || self.settled < cap) {
            Grant::Fits
        } else if self.settled.saturating_add(amount) <= cap && self.reserved > 0 {
            Grant::Waits
        } else {
            Grant::Exhausted
        }
    }

    /// Holds `amount`; the caller asked [`Account::grant`] first.
    pub fn reserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_add(amount);
    }

    /// Frees a reservation and books what was used.
    pub fn settle(&mut self, reservation: u64, used: u64) {
        self.reserved = self.reserved.saturating_sub(reservation);
        self.settled = self.settled.saturating_add(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_settled_never_pass_the_cap_at_a_grant() {
        let mut account = Account::capped(Some(100));
        assert_eq!(account.grant(60), Grant::Fits);
        account.reserve(60);
        assert_eq!(
            account.grant(60),
            Grant::Waits,
            "the reservation in flight could free its share"
        );
        account.settle(60, 10);
        assert_eq!(account.grant(60), Grant::Fits);
        account.settle(0, 70);
        assert_eq!(account.grant(60), Grant::Exhausted);
        assert_eq!(account.grant(0), Grant::Fits);
    }

    #[test]
    fn an_overrun_closes_the_account() {
        let mut account = Account::capped(Some(100));
        account.reserve(100);
        account.settle(100, 150);
        assert_eq!(account.grant(1), Grant::Exhausted);
        assert_eq!(account.grant(0), Grant::Exhausted);
    }

    #[test]
    fn no_cap_always_fits() {
        assert_eq!(Account::capped(None).grant(u64::MAX), Grant::Fits);
    }
}
