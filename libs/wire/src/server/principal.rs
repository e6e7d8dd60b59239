//! Who calls, and how that is known.
//!
//! Invariant: a principal comes from a key in the table, or from a transport that proved it (same process, or a
//! Unix socket whose peer has our uid); never from anything a caller can write into a header.

/// The kinds of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// An operator: a person, or a tool that acts for one.
    User,
    /// A builder-worker.
    Worker,
    /// A phase-scheduler.
    Scheduler,
    /// The telemetry service.
    Telemetry,
    /// An external builder that submits results.
    Builder,
    /// Somebody who may read everything, and record what it finds.
    Auditor,
    /// Somebody who may see how runs stand, but no code and no output.
    Reader,
}

impl Principal {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::User,
        Self::Worker,
        Self::Scheduler,
        Self::Telemetry,
        Self::Builder,
        Self::Auditor,
        Self::Reader,
    ];

    /// The spelling in configuration and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "operator",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Telemetry => "telemetry",
            Self::Builder => "builder",
            Self::Auditor => "auditor",
            Self::Reader => "reader",
        }
    }

    /// The kind with this spelling; `user` is an older word for an operator.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "user" {
            return Some(Self::User);
        }
        Self::ALL.iter().copied().find(|p| p.as_str() == text)
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Request extension: whom the transport vouches for; `None` if the caller must send a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Option<Principal>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_come_back() {
        assert!(
            Principal::ALL
                .iter()
                .all(|p| Principal::parse(p.as_str()) == Some(*p))
        );
        assert_eq!(Principal::parse("user"), Some(Principal::User));
        assert_eq!(Principal::parse("root"), None);
    }
}
