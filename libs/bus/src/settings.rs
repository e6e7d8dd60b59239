//! The bus in a service's configuration: plain values, from which a [`BusConfig`] is made.
//!
//! Invariant: the password is never shown; an empty value is unset.

use std::{fmt, path::PathBuf};

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
}

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
    /// How to open the bus under a connection's name. The password's file is read here.
    pub fn config(&self, name: String) -> Result<BusConfig, std::io::Error> {
        let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        let path = |value: &str| text(value).map(PathBuf::from);
        let password = match path(&self.password_file) {
            Some(file) => Some(std::fs::read_to_string(file)?.trim().to_owned()),
            None => text(&self.password),
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
            ..BusConfig::default()
        })
    }
}
