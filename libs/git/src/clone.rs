//! Our own bare clone in the data directory: the object store on which everything is built.
//!
//! Invariant: only Autopack writes here, under the lock of its data directory, so locks found when opening are stale.
//! Fetched references live under `refs/autopack/_target/`, ours under `refs/autopack/<run>/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::call::{Call, Git};
use crate::error::GitError;
use crate::oid::Oid;
use crate::ref_writes::RefWrites;

/// How a repository names its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 40 digits; the default of git.
    Sha1,
    /// 64 digits.
    Sha256,
}

impl ObjectFormat {
    /// Git's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, GitError> {
        match text {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            other => Err(GitError::unexpected("an object format", other.as_bytes())),
        }
    }
}

/// Our own bare clone. Cheap to clone; all methods may run concurrently on different indexes and folders.
#[derive(Clone)]
pub struct OwnClone {
    pub(crate) git: Git,
    pub(crate) dir: PathBuf,
    pub(crate) format: ObjectFormat,
    /// Fetches of one process take turns: they move the same private references.
    pub(crate) fetching: Arc<Mutex<()>>,
    pub(crate) ref_writes: Arc<RefWrites>,
}

impl OwnClone {
    /// Opens the clone in `dir`, creating it if needed, and removes locks that a killed process left in it.
    ///
    /// The caller holds the data directory's lock.
    pub async fn open_or_create(git: &Git, dir: &Path) -> Result<Self, GitError> {
        Self::open_or_create_as(git, dir, ObjectFormat::Sha1).await
    }

    /// The same, for a target whose objects are named by `format` (see [`crate::Target::object_format`]).
    pub async fn open_or_create_as(
        git: &Git,
        dir: &Path,
        format: ObjectFormat,
    ) -> Result<Self, GitError> {
        fs::create_dir_all(dir).map_err(|e| GitError::io("creating", dir, e))?;
        let dir = dir
            .canonicalize()
            .map_err(|e| GitError::io("resolving", dir, e))?;
        remove_stale_locks(&dir)?;
        let own = Self {
            git: git.clone(),
            dir,
            format,
            fetching: Arc::default(),
            ref_writes: Arc::default(),
        };
        let format_arg = format!("--object-format={}", format.as_str());
        own.read("init")
            .args(["--bare", "--quiet", "--template=", "--initial-branch=main"])
            .arg(format_arg)
            .writes()
            .ok()
            .await?;
        Ok(own)
    }

    /// Where the clone is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How this clone names objects.
    pub fn object_format(&self) -> ObjectFormat {
        self.format
    }

    /// The tree without entries: the base of a run on a repository without commits.
    pub fn empty_tree(&self) -> Result<Oid, GitError> {
        Oid::parse(match self.format {
            ObjectFormat::Sha1 => "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            ObjectFormat::Sha256 => {
                "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
            }
        })
    }

    /// A command on this clone that only reads.
    pub(crate) fn read(&self, subcommand: &str) -> Call {
        self.git.call(&self.dir, subcommand).git_dir(&self.dir)
    }

    /// A command on this clone that may take locks.
    pub(crate) fn write(&self, subcommand: &str) -> Call {
        self.read(subcommand).writes()
    }

    /// The clone's object store.
    pub(crate) fn objects(&self) -> PathBuf {
        self.dir.join("objects")
    }
}

/// Removes `*.lock` below `dir` and half-written packs. Symbolic links are not followed; git's object folders with
/// two-digit names hold no locks and are skipped.
fn remove_stale_locks(dir: &Path) -> Result<(), GitError> {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|e| GitError::io("reading", &folder, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| GitError::io("reading", &folder, e))?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.as_encoded_bytes();
            let kind = entry
                .file_type()
                .map_err(|e| GitError::io("reading", &path, e))?;
            if kind.is_dir() {
                let fan_out = name.len() == 2 && folder.ends_with("objects");
                if !fan_out {
                    folders.push(path);
                }
            } else if name.ends_with(b".lock")
                || (name.starts_with(b"tmp_") && folder.ends_with("objects/pack"))
            {
                tracing::info!(path = %path.display(), "removing a stale lock");
                fs::remove_file(&path).map_err(|e| GitError::io("removing", &path, e))?;
            }
        }
    }
    Ok(())
}
