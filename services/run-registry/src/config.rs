//! What the registry is told. Defaults are those of DESIGN rule 3.

use std::{fmt, path::PathBuf, time::Duration};

use autopack_domain::{Reason, Refusal};

/// Where the truth is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseAt {
    /// A SQLite file: the embedded form.
    File(PathBuf),
    /// A `postgres://` address, with its password.
    Postgres(String),
}

impl fmt::Debug for DatabaseAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl DatabaseAt {
    /// The database of a distributed registry, from the value of `DATABASE_URL`. Nothing, an empty value and
    /// another kind of database are refused: a distributed registry never falls back to a file.
    pub fn distributed(value: Option<&str>) -> Result<Self, Refusal> {
        let refuse = |problem: &str| {
            let text = format!(
                "{problem}; a distributed registry needs DATABASE_URL=postgres://USER:PASSWORD@HOST/DATABASE"
            );
            Err(Refusal::new(Reason::DatabaseRequired, text))
        };
        let value = value.map(str::trim).unwrap_or_default();
        if value.is_empty() {
            return refuse("DATABASE_URL is not set");
        }
        match value.split_once("://") {
            Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => {
                Ok(Self::Postgres(format!("postgres://{rest}")))
            }
            _ => {
                let scheme = value.split(':').next().unwrap_or_default();
                // The value may be a password that stands in the wrong place: only its scheme is shown.
                let known = ["sqlite", "mysql", "mariadb"].contains(&scheme);
                let kind = if known { scheme } else { "malformed" };
                refuse(&format!("DATABASE_URL is a {kind} address"))
            }
        }
    }

    /// The address without its password.
    pub fn masked(&self) -> String {
        match self {
            Self::File(file) => format!("sqlite://{}", file.display()),
            Self::Postgres(url) => autopack_store_write::masked(url),
        }
    }
}

/// What the registry mends by itself when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfRepair {
    /// Nothing, and it looks for nothing to mend.
    Off,
    /// Nothing, but it tells what it could.
    #[default]
    Report,
    /// What the reviewed alias table knows, on rows that no worker holds.
    Safe,
}

impl SelfRepair {
    /// Every spelling.
    pub const SPELLINGS: [&'static str; 3] = ["off", "report", "safe"];

    /// The spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Safe => "safe",
        }
    }

    /// The value of a spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "report" => Some(Self::Report),
            "safe" => Some(Self::Safe),
            _ => None,
        }
    }
}

/// Settings of the registry.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// Where the truth is kept.
    pub database: DatabaseAt,
    /// Where other processes reach this registry; a standby sends its callers there.
    pub advertised: String,
    /// PostgreSQL: a session of the active registry that is silent for this long is ended, and a standby takes
    /// over. 1 s at least.
    pub silence: Duration,
    /// How long a lease lasts without renewal.
    pub lease: Duration,
    /// How often workers renew.
    pub heartbeat: Duration,
    /// This process is the only one on its data directory: leases of an earlier process are void.
    pub embedded: bool,
    /// How often an idle watch sends a sign of life.
    pub watch_heartbeat: Duration,
    /// What is mended at the start.
    pub self_repair: SelfRepair,
    /// For `GetInfo`: the database's address without credentials.
    pub database_masked: String,
    /// For `GetInfo`.
    pub version: String,
    /// For `GetInfo`: switches that are on, by variable.
    pub switches: Vec<String>,
    /// For `GetServerInfo`: services that other parts of this process add at the same address, by full name.
    pub beside: Vec<String>,
}

impl RegistryConfig {
    /// The embedded form on a database file.
    pub fn embedded(database: PathBuf) -> Self {
        Self {
            database_masked: format!("sqlite://{}", database.display()),
            database: DatabaseAt::File(database),
            advertised: String::new(),
            silence: Duration::from_secs(15),
            lease: Duration::from_secs(10),
            heartbeat: Duration::from_secs(3),
            embedded: true,
            watch_heartbeat: Duration::from_secs(15),
            self_repair: SelfRepair::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            switches: Vec::new(),
            beside: Vec::new(),
        }
    }
    /// The distributed form on the value of `DATABASE_URL`; `advertised` is the address that clients use.
    pub fn distributed(database_url: Option<&str>, advertised: &str) -> Result<Self, Refusal> {
        let database = DatabaseAt::distributed(database_url)?;
        let masked = database.masked();
        Ok(Self {
            database_masked: masked,
            database,
            advertised: advertised.to_owned(),
            embedded: false,
            ..Self::embedded(PathBuf::new())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::DatabaseAt;

    #[test]
    fn a_distributed_registry_needs_a_postgresql_address() {
        for (value, said) in [
            (None, "DATABASE_URL is not set"),
            (Some("  "), "DATABASE_URL is not set"),
            (Some("sqlite:///x.db"), "a sqlite address"),
            (Some("hunter2"), "a malformed address"),
        ] {
            let refusal = DatabaseAt::distributed(value).expect_err("refused");
            assert!(refusal.message.contains(said), "{refusal}");
            assert!(refusal.message.contains("postgres://USER"), "{refusal}");
            assert!(!refusal.message.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let found =
            DatabaseAt::distributed(Some("postgresql://u:hunter2@h/db")).expect("an address");
        assert_eq!(
            found,
            DatabaseAt::Postgres("postgres://u:hunter2@h/db".to_owned())
        );
        assert_eq!(format!("{found:?}"), "postgres://u:***@h/db");
    }
}
