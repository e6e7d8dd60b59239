//! Keys of callers: whose they are and until when.
//!
//! Invariant: keys are kept and compared as SHA-256 digests, every entry each time and in constant time; no key and no
//! digest is ever printed.

use std::sync::Arc;

use autopack_domain::time::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::principal::Principal;

/// Tells the wall time, for keys that expire.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A key that is too short to be secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortToken;

impl std::fmt::Display for ShortToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a key has at least {} bytes", TokenTable::MIN)
    }
}

impl std::error::Error for ShortToken {}

/// One key: what it allows.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// What its owner may act as; the first that a method allows.
    pub roles: Vec<Principal>,
    /// From this moment on it is refused.
    pub expires: Option<Timestamp>,
}

/// What is known of a presented key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// It is good for these roles.
    Good(&'a [Principal]),
    /// It was good once.
    Expired,
    /// No entry has it.
    Wrong,
}

/// Keys and whose they are.
#[derive(Clone, Default)]
pub struct TokenTable {
    entries: Vec<Grant>,
}

impl TokenTable {
    /// Bytes that a key has at least.
    pub const MIN: usize = 16;

    /// Adds a key with one role, for ever.
    pub fn with(self, key: &str, principal: Principal) -> Result<Self, ShortToken> {
        Ok(self.grant(Grant {
            digest: digest(key)?,
            roles: vec![principal],
            expires: None,
        }))
    }

    /// Adds an entry.
    pub fn grant(mut self, grant: Grant) -> Self {
        self.entries.push(grant);
        self
    }

    /// Whether nobody has a key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is known of a key; takes the same time whether and where it is found. Without a clock a key that expires
    /// counts as expired.
    pub fn find(&self, presented: &str, now: Option<Timestamp>) -> Known<'_> {
        let digest: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        let mut place = u32::MAX;
        for (index, entry) in (0_u32..).zip(&self.entries) {
            let same: Choice = entry.digest.ct_eq(&digest);
            place.conditional_assign(&index, same);
        }
        match self.entries.get(place as usize) {
            None => Known::Wrong,
            Some(Grant {
                expires: Some(end), ..
            }) if now.is_none_or(|now| now >= *end) => Known::Expired,
            Some(entry) => Known::Good(&entry.roles),
        }
    }
}

/// The digest of a key.
pub fn digest(key: &str) -> Result<[u8; 32], ShortToken> {
    if key.len() < TokenTable::MIN {
        return Err(ShortToken);
    }
    Ok(Sha256::digest(key.as_bytes()).into())
}

impl std::fmt::Debug for TokenTable {
    /// Without the digests.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| &entry.roles))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whole_and_never_printed() {
        let table = TokenTable::default()
            .with("0123456789abcdef-user", Principal::User)
            .unwrap()
            .with("0123456789abcdef-work", Principal::Worker)
            .unwrap();
        let found = table.find("0123456789abcdef-work", None);
        assert_eq!(found, Known::Good(&[Principal::Worker]));
        assert_eq!(table.find("0123456789abcdef-wor", None), Known::Wrong);
        assert_eq!(table.find("", None), Known::Wrong);
        assert_eq!(
            TokenTable::default()
                .with("short", Principal::User)
                .unwrap_err(),
            ShortToken
        );
        assert_eq!(format!("{table:?}"), "[[User], [Worker]]");
    }

    #[test]
    fn a_key_ends_at_its_moment_and_not_before() {
        let table = TokenTable::default().grant(Grant {
            digest: digest("0123456789abcdef").unwrap(),
            roles: vec![Principal::Reader],
            expires: Some(Timestamp(1000)),
        });
        let at = |now| table.find("0123456789abcdef", now);
        assert_eq!(at(Some(Timestamp(999))), Known::Good(&[Principal::Reader]));
        assert_eq!(at(Some(Timestamp(1000))), Known::Expired);
        assert_eq!(at(None), Known::Expired);
    }
}
