//! Opens the database that the configuration names.

use autopack_domain::{Reason, Refusal};
use autopack_store_write::{Database, OpenOptions};

use crate::config::{DatabaseAt, RegistryConfig};

/// The shortest silence that a session may be allowed: signs of life come each third of it.
const SHORTEST_SILENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// An embedded file is made if it is missing. A server is not asked yet: it may start later than this process.
pub(crate) async fn open(config: &RegistryConfig) -> Result<Database, Refusal> {
    match &config.database {
        DatabaseAt::File(file) => {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|e| unavailable(format!("cannot create {}: {e}", folder.display())))?;
            }
            Database::open_sqlite(file).await.map_err(unavailable)
        }
        DatabaseAt::Postgres(url) => {
            let options = OpenOptions {
                instance: instance(),
                silence: config.silence.max(SHORTEST_SILENCE),
            };
            Database::open_postgres(url, &options)
                .await
                .map_err(|e| Refusal::new(Reason::DatabaseRequired, e.to_string()))
        }
    }
}

/// A name that no other process has, for its sessions; not an id of the product.
fn instance() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}-{random:016x}", std::process::id())
}

pub(crate) fn unavailable(problem: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::RegistryUnavailable, problem.to_string())
}
