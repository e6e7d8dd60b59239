//! The bus in a service's configuration: plain values, from which a [`BusConfig`] is made.
//!
//! Invariant: the password is never shown; an empty value is unset.

use std::{fmt, path::PathBuf, time::Duration};

use autopack_domain::fault::Fault;
use serde::{Deserialize, Serialize};

use crate::config::{BusConfig, Secret, TlsFiles};

/// The section `bus`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusSettings {
    /// `nats://host:4222`, several with commas.
    pub url: String,
    /// User, with a password.
    pub user: String,
    /// Password of the user.
    pub password: String,
    /// File that holds the password.
    pub password_file: String,
    /// Credentials file (JWT and nkey).
    pub credentials_file: String,
    /// Authority that signed the server's certificate, PEM.
    pub ca_file: String,
    /// Our certificate, PEM; with `key_file`.
    pub certificate_file: String,
    /// Our private key, PEM; with `certificate_file`.
    pub key_file: String,
    /// Refuse a connection without TLS.
    pub tls_required: bool,
    /// Speak TLS before the server's first line.
    pub tls_first: bool,
    /// Use a server below the floor, at one's own risk.
    pub allow_unsupported: bool,
    /// Copies of each stream; 0: one.
    pub replicas: u32,
    /// A delivery without a sign of life for so long is made again, in milliseconds; 0: 30,000. The same for registry and
    /// workers.
    pub ack_wait_ms: u64,
}

/// The shortest `ack_wait_ms`.
const SHORTEST_WAIT: u64 = 100;

impl fmt::Debug for BusSettings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusSettings")
            .field("user", &self.user)
            .field("credentials_file", &self.credentials_file)
            .finish_non_exhaustive()
    }
}

impl BusSettings {
    /// What keeps a service that runs apart from using it; every fault at once.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.url.is_empty() || self.url == "in-process" {
            let fault = Fault::new("bus.url", "services that run apart meet on a NATS server");
            faults.push(fault.example("AUTOPACK_BUS=nats://127.0.0.1:4222"));
        }
        if !self.password.is_empty() && !self.password_file.is_empty() {
            faults.push(Fault::new(
                "bus.password",
                "is set, and `bus.password_file` too; set one of them",
            ));
        }
        if self.certificate_file.is_empty() != self.key_file.is_empty() {
            faults.push(Fault::new(
                "bus.certificate_file",
                "bus.certificate_file and bus.key_file go together",
            ));
        }
        if ![0, 1, 3, 5].contains(&self.replicas) {
            let fault = Fault::new(
                "bus.replicas",
                format!("{} is no number of replicas", self.replicas),
            );
            faults.push(fault.allowed(["1", "3", "5"]));
        }
        if self.ack_wait_ms > 0 && self.ack_wait_ms < SHORTEST_WAIT {
            let problem = format!("{}: must be at least {SHORTEST_WAIT}", self.ack_wait_ms);
            faults.push(Fault::new("bus.ack_wait_ms", problem).example("30000"));
        }
        faults
    }

    /// How to open the bus under a connection's name. The password's file is read here.
    pub fn config(&self, name: String) -> Result<BusConfig, std::io::Error> {
        let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        let path = |value: &str| text(value).map(PathBuf::from);
        let password = match path(&self.password_file) {
            Some(file) => Some(std::fs::read_to_string(file)?.trim().to_owned()),
            None => text(&self.password),
        };
        let usual = BusConfig::default();
        let ack_wait = match self.ack_wait_ms {
            0 => usual.ack_wait,
            ms => Duration::from_millis(ms),
        };
        Ok(BusConfig {
            url: text(&self.url),
            name,
            user: text(&self.user),
            password: password.map(Secret),
            credentials_file: path(&self.credentials_file),
            tls: TlsFiles {
                ca: path(&self.ca_file),
                certificate: path(&self.certificate_file),
                key: path(&self.key_file),
                required: self.tls_required,
                first: self.tls_first,
            },
            allow_unsupported: self.allow_unsupported,
            replicas: self.replicas.max(1) as usize,
            ack_wait,
            ..usual
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_are_unset_and_a_password_may_come_from_a_file() {
        let config = BusSettings::default().config("x".into()).unwrap();
        let plain = BusConfig {
            name: "x".into(),
            ..BusConfig::default()
        };
        assert_eq!(config, plain);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let settings = BusSettings {
            url: "nats://h:4222".into(),
            user: "u".into(),
            password_file: file.path().display().to_string(),
            replicas: 3,
            ack_wait_ms: 2_000,
            ..BusSettings::default()
        };
        let config = settings.config("x".into()).unwrap();
        assert_eq!(config.password, Some(Secret("hunter2".into())));
        assert_eq!(config.replicas, 3);
        assert_eq!(config.ack_wait, Duration::from_secs(2));
        assert!(settings.faults().is_empty());
        assert!(!format!("{config:?}{settings:?}").contains("hunter2"));
    }

    #[test]
    fn what_cannot_work_is_told_at_once() {
        let settings = BusSettings {
            password: "a".into(),
            password_file: "b".into(),
            key_file: "k".into(),
            replicas: 2,
            ack_wait_ms: 50,
            ..BusSettings::default()
        };
        let faults = settings.faults();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let all = [
            "bus.url",
            "bus.password",
            "bus.certificate_file",
            "bus.replicas",
            "bus.ack_wait_ms",
        ];
        assert_eq!(paths, all);
    }
}
