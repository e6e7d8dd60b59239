//! How far the files are: `.projection.json` in the base folder.
//!
//! Invariant: it may lag behind the files, never lead; one that belongs to another database, or cannot be read, counts
//! as none.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{folder::Folder, waiting::Parked, write};

/// Name of the file.
const FILE: &str = ".projection.json";
/// Bytes of it.
const MAX_FILE: u64 = 16 << 20;

/// How far the files of a base folder are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// Identity of the database.
    pub(crate) database: String,
    /// The files of every event up to this one are written, but for what is parked.
    pub(crate) sequence: u64,
    /// Folders of runs that ended until then went for want of room, in microseconds.
    #[serde(default)]
    pub(crate) removed_until_us: i64,
    /// Runs whose files could not be written and are still to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parked: Vec<Parked>,
}

impl Cursor {
    /// Reads it; `None`: there is none for this database. Blocks.
    pub(crate) fn read(base: &Path, database: &str) -> Option<Self> {
        let folder = Folder::there(base).ok()??;
        let content = folder.read(Path::new(FILE), MAX_FILE).ok()??;
        let cursor: Self = serde_json::from_slice(&content).ok()?;
        (cursor.database == database).then_some(cursor)
    }

    /// Stores it. Blocks.
    pub(crate) fn store(&self, base: &Path) -> io::Result<()> {
        let content = serde_json::to_vec(self).map_err(io::Error::other)?;
        write::one(&Folder::base(base)?, FILE, &content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_again_by_its_own_database_only() {
        let base = tempfile::tempdir().unwrap();
        assert_eq!(Cursor::read(base.path(), "a"), None);
        let cursor = Cursor {
            database: "a".to_owned(),
            sequence: 7,
            removed_until_us: 3,
            parked: vec![Parked {
                uid: "u".to_owned(),
                failures: 2,
                why: "a folder stands there".to_owned(),
            }],
        };
        cursor.store(base.path()).unwrap();
        assert_eq!(Cursor::read(base.path(), "a"), Some(cursor));
        assert_eq!(Cursor::read(base.path(), "b"), None);
        std::fs::write(base.path().join(FILE), "{").unwrap();
        assert_eq!(Cursor::read(base.path(), "a"), None);
    }
}
