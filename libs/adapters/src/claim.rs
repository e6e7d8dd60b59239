//! What an agent says about its own end.
//!
//! Invariant: a claim never decides an attempt's success; a claimed failure names one reason of a closed list.

use std::fmt;

/// The end as the agent tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It says that it is done.
    Success,
    /// It says that it is not, and why.
    Failure {
        /// The reason.
        why: Why,
        /// Its own words, clipped.
        words: String,
    },
}

/// Why an agent gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its cap on turns.
    TurnLimit,
    /// Its cap on money.
    BudgetLimit,
    /// The provider asks to slow down.
    RateLimited,
    /// The account has nothing left.
    QuotaExhausted,
    /// The model is not known or not allowed.
    WrongModel,
    /// The key is missing or refused.
    WrongKey,
    /// Something it wanted to do was not permitted.
    PermissionRefused,
    /// The answer was cut at its length.
    CutShort,
    /// Somebody interrupted it.
    Interrupted,
    /// Anything else.
    Error,
}

impl Why {
    /// The name in facts and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TurnLimit => "turn_limit",
            Self::BudgetLimit => "budget_limit",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::WrongModel => "wrong_model",
            Self::WrongKey => "wrong_key",
            Self::PermissionRefused => "permission_refused",
            Self::CutShort => "cut_short",
            Self::Interrupted => "interrupted",
            Self::Error => "error",
        }
    }

    /// The reason that an error text tells; [`Why::Error`] if it tells none.
    pub fn of_text(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&[
            "insufficient_quota",
            "quota",
            "credit balance",
            "usage limit",
            "billing",
        ]) {
            Self::QuotaExhausted
        } else if has(&[
            "rate limit",
            "rate_limit",
            "too many requests",
            "429",
            "overloaded",
        ]) {
            Self::RateLimited
        } else if has(&[
            "api key",
            "api_key",
            "401",
            "unauthorized",
            "authentication",
            "not logged in",
        ]) {
            Self::WrongKey
        } else if text.contains("model")
            && has(&[
                "not found",
                "does not exist",
                "not supported",
                "unknown",
                "invalid",
                "404",
            ])
        {
            Self::WrongModel
        } else if has(&[
            "max turns",
            "maximum turns",
            "turn limit",
            "max_turns",
            "session turns",
        ]) {
            Self::TurnLimit
        } else if has(&["permission", "not allowed", "denied"]) {
            Self::PermissionRefused
        } else if has(&["interrupted", "cancelled", "canceled", "aborted"]) {
            Self::Interrupted
        } else {
            Self::Error
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Claim {
    /// A failure whose reason stands in its words.
    pub(crate) fn failed(words: &str) -> Self {
        Self::because(Why::of_text(words), words)
    }

    /// A failure with its reason.
    pub(crate) fn because(why: Why, words: &str) -> Self {
        Self::Failure {
            why,
            words: crate::lines::clip(words, 500),
        }
    }

    /// The name in facts and tables: `success`, or the reason of the failure.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure { why, .. } => why.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_vendors_tell_their_reason() {
        for (text, why) in [
            (
                "Error 429: rate limit reached for requests per minute",
                Why::RateLimited,
            ),
            ("You exceeded your current quota (429)", Why::QuotaExhausted),
            ("Your credit balance is too low", Why::QuotaExhausted),
            ("401 Unauthorized: invalid x-api-key", Why::WrongKey),
            ("The model `gpt-9` does not exist", Why::WrongModel),
            ("Reached max turns (5)", Why::TurnLimit),
            ("permission to use Bash was denied", Why::PermissionRefused),
            ("segmentation fault", Why::Error),
        ] {
            assert_eq!(Why::of_text(text), why, "{text}");
        }
    }
}
