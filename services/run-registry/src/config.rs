//! What the registry is told. Defaults are those of DESIGN rule 3.

use std::{path::PathBuf, time::Duration};

/// Settings of the registry.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// The SQLite file.
    pub database: PathBuf,
    /// How long a lease lasts without renewal.
    pub lease: Duration,
    /// How often workers renew.
    pub heartbeat: Duration,
    /// This process is the only one on its data directory: leases of an earlier process are void.
    pub embedded: bool,
    /// How often an idle watch sends a sign of life.
    pub watch_heartbeat: Duration,
    /// For `GetInfo`: the database's address without credentials.
    pub database_masked: String,
    /// For `GetInfo`: first 12 hex of its digest.
    pub database_identity: String,
    /// For `GetInfo`.
    pub version: String,
    /// For `GetInfo`: switches that are on, by variable.
    pub switches: Vec<String>,
}

impl RegistryConfig {
    /// The embedded form on a database file.
    pub fn embedded(database: PathBuf) -> Self {
        Self {
            database_masked: format!("sqlite://{}", database.display()),
            database_identity: String::new(),
            database,
            lease: Duration::from_secs(10),
            heartbeat: Duration::from_secs(3),
            embedded: true,
            watch_heartbeat: Duration::from_secs(15),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            switches: Vec::new(),
        }
    }
}
