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

impl TlsFiles {
    /// Whether TLS is asked for in any way.
    pub fn is_set(&self) -> bool {
        self.required || self.first || self.ca.is_some() || self.certificate.is_some()
    }
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
    /// File that holds an nkey seed (`SU...`).
    pub nkey_seed_file: Option<PathBuf>,
    /// TLS.
    pub tls: TlsFiles,
    /// Use a server below the floor, at one's own risk.
    pub allow_unsupported: bool,
    /// Make streams and consumers, and mend what differs. One process of a deployment, the registry, does;
    /// the others bind to what it made.
    pub manage: bool,
    /// Lanes whose consumers the managing process makes; those of published jobs are added.
    pub lanes: Vec<String>,
    /// After this long without acknowledgement or progress a job is delivered again, in lanes that nobody bound yet.
    pub ack_wait: Duration,
    /// Deliveries of a job before it becomes a dead letter; the registry counts attempts by itself.
    pub max_deliver: u32,
    /// Slots of all workers together at most; bounds what may be unacknowledged.
    pub fleet_slots: u32,
    /// Copies of each stream: 1 or 3.
    pub replicas: usize,
    /// Bound of the job stream; beyond it publishers are refused.
    pub jobs_max_bytes: u64,
    /// Bound of the event stream; beyond it the oldest go.
    pub events_max_bytes: u64,
    /// How long events stay readable for late consumers.
    pub events_max_age: Duration,
    /// Bound of the dead letters; beyond it the oldest go.
    pub dead_max_bytes: u64,
    /// How long dead letters are kept.
    pub dead_max_age: Duration,
    /// Bound of the telemetry stream; beyond it the oldest go.
    pub telemetry_max_bytes: u64,
    /// How long telemetry stays readable.
    pub telemetry_max_age: Duration,
    /// Telemetry messages that wait for the server at most; beyond it new ones are dropped and counted.
    pub telemetry_buffer: usize,
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
            nkey_seed_file: None,
            tls: TlsFiles::default(),
            allow_unsupported: false,
            manage: true,
            lanes: vec![crate::subject::DEFAULT_LANE.to_owned()],
            ack_wait: Duration::from_secs(30),
            max_deliver: 64,
            fleet_slots: 1024,
            replicas: 1,
            jobs_max_bytes: 256 << 20,
            events_max_bytes: 256 << 20,
            events_max_age: Duration::from_hours(24),
            dead_max_bytes: 64 << 20,
            dead_max_age: Duration::from_hours(30 * 24),
            telemetry_max_bytes: 64 << 20,
            telemetry_max_age: Duration::from_hours(24),
            telemetry_buffer: 4096,
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

    /// For services that use what the registry's connection makes: they bind, and create nothing.
    pub fn binding(self) -> Self {
        Self {
            manage: false,
            ..self
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
