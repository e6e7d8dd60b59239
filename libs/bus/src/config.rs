//! Where the bus is and how to reach it.
//!
//! Invariant: no password is ever shown.

use std::{fmt, path::PathBuf, time::Duration};

/// Files for TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authority that signed the server's.
    pub ca: Option<PathBuf>,
    /// The client's certificate; with `key`.
    pub certificate: Option<PathBuf>,
    /// The client's key; with `certificate`.
    pub key: Option<PathBuf>,
    /// Refuse a connection without TLS.
    pub required: bool,
    /// Speak TLS before the server's first line.
    pub first: bool,
}

/// A text that is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How to open a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusConfig {
    /// `nats://host:4222`, several with commas; `None` or `in-process`: the in-process bus.
    pub url: Option<String>,
    /// Name of this connection on the server, such as `builder-worker/7`.
    pub name: String,
    /// User, with `password`.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<Secret>,
    /// Credentials file (JWT and nkey).
    pub credentials_file: Option<PathBuf>,
    /// TLS.
    pub tls: TlsFiles,
    /// Use a server below the floor, at one's own risk.
    pub allow_unsupported: bool,
    /// Copies of each stream: 1 or 3.
    pub replicas: usize,
    /// Bound of the job stream; beyond it publishers are refused.
    pub jobs_max_bytes: u64,
    /// Bound of the event stream; beyond it the oldest go.
    pub events_max_bytes: u64,
    /// How long events stay readable for late consumers.
    pub events_max_age: Duration,
    /// How long `connect` tries before it gives up.
    pub connect_deadline: Duration,
    /// Deadline of each request to the server.
    pub request_timeout: Duration,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            url: None,
            name: "autopack".to_owned(),
            user: None,
            password: None,
            credentials_file: None,
            tls: TlsFiles::default(),
            allow_unsupported: false,
            replicas: 1,
            jobs_max_bytes: 256 << 20,
            events_max_bytes: 256 << 20,
            events_max_age: Duration::from_hours(24),
            connect_deadline: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
        }
    }
}

impl BusConfig {
    /// A configuration for one address, everything else at its default.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// Whether this names the in-process bus.
    pub fn is_in_process(&self) -> bool {
        self.url
            .as_deref()
            .is_none_or(|url| url.is_empty() || url == "in-process")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_empty_and_the_word_mean_in_process() {
        assert!(BusConfig::default().is_in_process());
        assert!(BusConfig::at("").is_in_process());
        assert!(BusConfig::at("in-process").is_in_process());
        assert!(!BusConfig::at("nats://localhost:4222").is_in_process());
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = BusConfig {
            password: Some(Secret("hunter2".into())),
            ..BusConfig::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
