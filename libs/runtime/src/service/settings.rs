//! Configuration that every service has.
//!
//! Invariant: each secret has a twin that names a file, and the twin's key ends in `_file`; an empty value is unset.

use serde::{Deserialize, Serialize};

/// Keys of every service; flattened into the service's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Common {
    /// Address for gRPC.
    pub listen: String,
    /// Address for `/metrics`, `/livez` and `/readyz`; empty or `none`: not served.
    pub metrics_listen: String,
    /// `keys`: every caller sends a key; `none`: no caller is asked for one.
    pub auth: String,
    /// The key that callers send, and that this service sends to others.
    pub api_key: String,
    /// File that holds the key, or a list of keys with roles.
    pub api_key_file: String,
    /// From the signal to the end of the process, at most.
    pub shutdown_seconds: u64,
    /// The log.
    pub log: Log,
    /// TLS of the gRPC address.
    pub tls: ServerTlsFiles,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// `text` or `json`.
    pub format: String,
    /// Such as `info` or `run_registry=debug,warn`.
    pub level: String,
}

/// Files for TLS of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTlsFiles {
    /// Certificate chain, PEM; with `key_file`.
    pub certificate_file: String,
    /// Private key, PEM; with `certificate_file`.
    pub key_file: String,
    /// Authority that signs clients' certificates, PEM; set: clients must show one.
    pub client_ca_file: String,
    /// Authority that signed our own certificate, PEM; `healthcheck` needs it.
    pub ca_file: String,
}

/// How a service reaches the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryAddress {
    /// `http://host:port`, `https://host:port` or `unix:PATH`; of several registries on one database all, with commas:
    /// calls go to the active one, and to no address that is not listed.
    pub address: String,
    /// The key to send, if it is not `api_key`.
    pub api_key: String,
    /// File that holds it.
    pub api_key_file: String,
    /// Authority that signed the registry's certificate, PEM.
    pub ca_file: String,
    /// Our certificate chain, PEM; with `key_file`.
    pub certificate_file: String,
    /// Our private key, PEM; with `certificate_file`.
    pub key_file: String,
    /// Name that the registry's certificate must have, if it is not the address's host.
    pub domain: String,
    /// Identity of the database that the registry must keep, 32 hex; empty: that of the first answer.
    pub database_identity: String,
}

impl Common {
    /// The defaults of a service that listens on these ports of the loopback interface.
    pub fn on(port: u16, metrics_port: u16) -> Self {
        Self {
            listen: format!("127.0.0.1:{port}"),
            metrics_listen: format!("127.0.0.1:{metrics_port}"),
            auth: "keys".to_owned(),
            api_key: String::new(),
            api_key_file: String::new(),
            shutdown_seconds: 25,
            log: Log {
                format: "json".to_owned(),
                level: "info".to_owned(),
            },
            tls: ServerTlsFiles::default(),
        }
    }

    /// Whether callers are not asked for a key, by the configuration's own words.
    pub fn without_auth(&self) -> bool {
        self.auth == "none"
    }
}

impl Default for RegistryAddress {
    fn default() -> Self {
        Self {
            address: "http://127.0.0.1:7878".to_owned(),
            api_key: String::new(),
            api_key_file: String::new(),
            ca_file: String::new(),
            certificate_file: String::new(),
            key_file: String::new(),
            domain: String::new(),
            database_identity: String::new(),
        }
    }
}

/// Settings of a service: its own keys beside those of every service.
pub trait Settings: Serialize + serde::de::DeserializeOwned + Default + Send + 'static {
    /// The keys of every service.
    fn common(&self) -> &Common;

    /// How it reaches the registry; `None` for the registry itself.
    fn registry(&self) -> Option<&RegistryAddress> {
        None
    }

    /// The role whose key of a list it sends to others.
    fn role() -> autopack_wire::server::Principal;

    /// Short names of variables that it reads beside [`SHORT`]: variable, key.
    fn short_names() -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// What is wrong with its own values; every fault at once.
    fn faults(&self) -> Vec<autopack_domain::fault::Fault> {
        Vec::new()
    }
}

/// Short names of variables and the keys that they set, where a service has the key.
pub const SHORT: &[(&str, &str)] = &[
    ("AUTOPACK_BUS", "bus.url"),
    ("AUTOPACK_BUS_URL", "bus.url"),
    ("AUTOPACK_LOG", "log.level"),
    ("AUTOPACK_LOG_FORMAT", "log.format"),
    ("AUTOPACK_REGISTRY", "registry.address"),
    ("DATABASE_URL", "database_url"),
    ("DATABASE_URL_FILE", "database_url_file"),
];
