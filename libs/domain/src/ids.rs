//! Typed ids. Run, tier and phase ids are the user's own strings; everything else is a UUIDv7.
//!
//! Invariant: a [`RunId`], [`TierId`] or [`PhaseId`] always satisfies the rule of DESIGN "Ids".

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The rule for ids that users choose, in words.
pub const ID_RULE: &str = "1 to 128 of A-Z a-z 0-9 . _ -, starting with a letter or digit, without `..`, not ending in `.` or `.lock`";

/// An id that breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: {ID_RULE}")]
pub struct BadId(pub String);

/// Whether a text satisfies the rule for ids that users choose.
pub fn is_user_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=128).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
        && !text.contains("..")
        && !text.ends_with('.')
        && !text.to_ascii_lowercase().ends_with(".lock")
}

macro_rules! user_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                if is_user_id(&text) { Ok(Self(text.into())) } else { Err(BadId(text.chars().take(200).collect())) }
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> { Self::try_from(text.to_owned()) }
        }
        impl From<$name> for String { fn from(id: $name) -> Self { id.0.to_string() } }
        impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }
    };
}

user_id!(
    /// A run's id; unique without regard to case.
    RunId
);
user_id!(
    /// A tier's id; unique in its run.
    TierId
);
user_id!(
    /// A phase's id; unique in its run.
    PhaseId
);

macro_rules! uid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> { Uuid::parse_str(text).map(Self) }
        }
        impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) } }
    };
}

uid!(
    /// A run, for ever: ids may be used again in another data directory, uids never.
    RunUid
);
uid!(
    /// One execution of a phase by one worker.
    AttemptUid
);
uid!(
    /// A job on offer; a new one for each offer.
    JobUid
);
uid!(
    /// A promotion of a run.
    PromotionUid
);
uid!(
    /// A worker process.
    WorkerUid
);

/// Fencing token: minted per lease, larger than every earlier one, compared at every write.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::is_user_id;

    #[test]
    fn the_rule_for_user_ids() {
        for good in ["a", "P1.1", "demo-1", "0x", &"a".repeat(128)] {
            assert!(is_user_id(good), "{good}");
        }
        for bad in [
            "",
            ".a",
            "-a",
            "a..b",
            "a.",
            "x.lock",
            "X.LOCK",
            "a/b",
            "a b",
            "ä",
            "a\n",
            &"a".repeat(129),
        ] {
            assert!(!is_user_id(bad), "{bad}");
        }
    }
}
