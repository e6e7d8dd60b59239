//! The schema from the command line: what is missing, bring it up to date, the role for telemetry.
//!
//! Invariant: `check` changes nothing; `apply` is harmless when there is nothing to do, and safe beside an active
//! registry or a second `apply`.

use autopack_domain::{Reason, Refusal};
use autopack_migrations::{MigrationError, Pending, RoleError};
use autopack_runtime::failpoint::hit as failpoint;
use autopack_store_write::Database;

use crate::{config::RegistryConfig, open};

/// Migrations that the database lacks, oldest first; empty: it is up to date.
pub async fn check(config: &RegistryConfig) -> Result<Vec<Pending>, Refusal> {
    let database = open::open(config).await?;
    let session = database.admin().await.map_err(open::unavailable)?;
    let pending = autopack_migrations::pending(&session).await;
    session.close().await.map_err(open::unavailable)?;
    pending.map_err(refusal)
}

/// Applies them; returns what was applied.
pub async fn apply(config: &RegistryConfig) -> Result<Vec<Pending>, Refusal> {
    let database = open::open(config).await?;
    up_to_date(&database).await.map_err(refusal)
}

/// Makes the PostgreSQL role that reads the versioned views and nothing else, or grants it the views that are
/// new. The address in the configuration is one that owns the tables and may make roles.
pub async fn grant_telemetry(
    config: &RegistryConfig,
    role: &str,
    password: Option<&str>,
) -> Result<(), Refusal> {
    let database = open::open(config).await?;
    let session = database.admin().await.map_err(open::unavailable)?;
    let granted = autopack_migrations::grant_telemetry(&session, role, password).await;
    session.close().await.map_err(open::unavailable)?;
    granted.map_err(|error| match error {
        RoleError::Database(error) => open::unavailable(error),
        named => Refusal::new(Reason::ArgumentInvalid, named.to_string()).with("role", role),
    })
}

/// For a registry that takes over.
pub(crate) async fn up_to_date(database: &Database) -> Result<Vec<Pending>, MigrationError> {
    let session = database.admin().await?;
    let done =
        autopack_migrations::migrate_with(&session, || failpoint("registry.in_migration")).await;
    if !database.is_embedded() {
        session.close().await?;
    }
    done
}

/// What a person is told.
pub(crate) fn refusal(error: MigrationError) -> Refusal {
    let text = error.to_string();
    match error {
        MigrationError::TooNew { found, needs, have } => Refusal::new(Reason::SchemaTooNew, text)
            .with("found", found)
            .with("needs", needs)
            .with("have", have),
        MigrationError::Changed { version } | MigrationError::Unmapped { version, .. } => {
            Refusal::new(Reason::SchemaMigrationFailed, text).with("migration", version)
        }
        MigrationError::Database(_) => open::unavailable(text),
    }
}
