//! Errors as data: the closed list of kinds and the refusal that every layer passes on.
//!
//! Invariant: a refusal names a stable reason; clients branch on kind and reason, never on text.

use std::collections::BTreeMap;

use crate::{Reason, fault::Fault};

/// The closed list of error kinds; `libs/wire` maps each to one gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed; sending it again cannot help.
    Invalid,
    /// No or an unknown credential.
    Unauthenticated,
    /// The principal may not do this.
    Denied,
    /// The named thing does not exist.
    NotFound,
    /// The same key with other content.
    Exists,
    /// The state does not allow it.
    Precondition,
    /// A version race: read again and decide anew.
    Conflict,
    /// A resume position beyond the end.
    OutOfRange,
    /// A bound or budget is reached.
    Exhausted,
    /// Try again shortly.
    Unavailable,
    /// Not done within the deadline.
    Deadline,
    /// The caller went away.
    Cancelled,
    /// A stored value does not parse.
    Corrupt,
    /// A defect of the product.
    Bug,
}

impl ErrorKind {
    /// The kind with this spelling in the catalogue.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "invalid" => Self::Invalid,
            "unauthenticated" => Self::Unauthenticated,
            "denied" => Self::Denied,
            "not_found" => Self::NotFound,
            "exists" => Self::Exists,
            "precondition" => Self::Precondition,
            "conflict" => Self::Conflict,
            "out_of_range" => Self::OutOfRange,
            "exhausted" => Self::Exhausted,
            "unavailable" => Self::Unavailable,
            "deadline" => Self::Deadline,
            "cancelled" => Self::Cancelled,
            "corrupt" => Self::Corrupt,
            "bug" => Self::Bug,
            _ => return None,
        })
    }

    /// Whether the same call may be repeated without reading anything anew.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

/// A command that was not carried out, and why; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// What is wrong, which values would be right, and what mends it.
    pub message: String,
    /// Every variable of the message, by lowerCamelCase name.
    pub metadata: BTreeMap<String, String>,
    /// All faults of the input, if it was the input.
    pub faults: Vec<Fault>,
}

impl Refusal {
    /// A refusal with its message; add variables with [`Refusal::with`].
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    /// A refusal that lists faults of the input.
    pub fn invalid(reason: Reason, faults: Vec<Fault>) -> Self {
        let mut message = format!(
            "{} {}",
            faults.len(),
            if faults.len() == 1 { "fault" } else { "faults" }
        );
        for fault in &faults {
            message.push_str("\n  ");
            message.push_str(&fault.to_string());
        }
        Self {
            reason,
            message,
            metadata: BTreeMap::new(),
            faults,
        }
    }

    /// A page token that the list asked for did not give out.
    pub fn page_token(token: &str) -> Self {
        let fault = Fault::new("page_token", "is not one that this list gave out");
        Self::invalid(Reason::PageTokenInvalid, vec![fault]).with("pageToken", token)
    }

    /// Adds one variable.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// The kind of the reason.
    pub fn kind(&self) -> ErrorKind {
        self.reason.kind()
    }
}
