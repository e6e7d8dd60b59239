//! A small repository for probes, in the data directory: whoever serves that directory reaches it.
//!
//! Invariant: it appears whole or not at all, and is the same one for every probe, so that one clone of it is kept.

use std::path::{Path, PathBuf};

use autopack_runtime::{IdSource as _, V7Ids};

use crate::{bench, error::CliError};

/// Its place in the data directory.
const FOLDER: &str = "probe";

/// Makes it if it is not there.
pub(crate) async fn ready(data: &Path) -> Result<PathBuf, CliError> {
    let place = data.join(FOLDER);
    if place.join(".git").is_dir() {
        return Ok(place);
    }
    let beside = data.join(format!(".{FOLDER}-{}", V7Ids.uuid()));
    let made = fill(&beside, &place).await;
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&beside);
    }
    // Another probe may have been first.
    if place.join(".git").is_dir() {
        Ok(place)
    } else {
        made.map(|()| place)
    }
}

async fn fill(beside: &Path, place: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(beside).map_err(|error| CliError::io("cannot make", beside, &error))?;
    let made = bench::make_repository(beside, 1).await;
    made.map_err(|error| CliError::new(format!("the repository of probes: {error}")))?;
    std::fs::rename(beside, place).map_err(|error| CliError::io("cannot make", place, &error))
}
