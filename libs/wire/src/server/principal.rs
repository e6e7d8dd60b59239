//! Who calls, and how that is known.
//!
//! Invariant: a principal comes from a token in the table, or from a transport that proved it (same process, or a
//! Unix socket whose peer has our uid); never from anything a caller can write into a header.

/// The kinds of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person or a tool that acts for one.
    User,
    /// A builder-worker.
    Worker,
    /// A phase-scheduler.
    Scheduler,
    /// The telemetry service.
    Telemetry,
    /// An external builder that submits results.
    Builder,
    /// Somebody who may read everything and change nothing.
    Auditor,
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
    ];

    /// The spelling in configuration and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Telemetry => "telemetry",
            Self::Builder => "builder",
            Self::Auditor => "auditor",
        }
    }

    /// The kind with this spelling.
    pub fn parse(text: &str) -> Option<Self> {
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

/// A token that is too short to be secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortToken;

impl std::fmt::Display for ShortToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a token has at least {} bytes", TokenTable::MIN)
    }
}

impl std::error::Error for ShortToken {}

/// Bearer tokens and whose they are.
#[derive(Clone, Default)]
pub struct TokenTable {
    entries: Vec<(Box<[u8]>, Principal)>,
}

impl TokenTable {
    /// Bytes that a token has at least.
    pub const MIN: usize = 16;

    /// Adds a token.
    pub fn with(mut self, token: &str, principal: Principal) -> Result<Self, ShortToken> {
        if token.len() < Self::MIN {
            return Err(ShortToken);
        }
        self.entries.push((token.as_bytes().into(), principal));
        Ok(self)
    }

    /// Whose token it is. Takes the same time for every token of a length.
    pub fn find(&self, presented: &str) -> Option<Principal> {
        let mut found = None;
        for (token, principal) in &self.entries {
            if same(token, presented.as_bytes()) {
                found = Some(*principal);
            }
        }
        found
    }
}

impl std::fmt::Debug for TokenTable {
    /// Without the tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|(_, principal)| principal))
            .finish()
    }
}

/// Compares without stopping at the first difference.
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a
        .iter()
        .zip(b)
        .fold(0_u8, |acc, (x, y)| std::hint::black_box(acc | (x ^ y)));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_whole_and_never_printed() {
        let table = TokenTable::default()
            .with("0123456789abcdef-user", Principal::User)
            .unwrap()
            .with("0123456789abcdef-work", Principal::Worker)
            .unwrap();
        assert_eq!(table.find("0123456789abcdef-work"), Some(Principal::Worker));
        assert_eq!(table.find("0123456789abcdef-wor"), None);
        assert_eq!(table.find(""), None);
        assert_eq!(
            TokenTable::default()
                .with("short", Principal::User)
                .unwrap_err(),
            ShortToken
        );
        assert!(!format!("{table:?}").contains("0123"));
    }

    #[test]
    fn spellings_come_back() {
        assert!(
            Principal::ALL
                .iter()
                .all(|p| Principal::parse(p.as_str()) == Some(*p))
        );
        assert_eq!(Principal::parse("root"), None);
    }
}
