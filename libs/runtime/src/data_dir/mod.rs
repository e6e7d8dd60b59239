//! The data directory: made once, owned by one process at a time.
//!
//! Invariant: whoever holds a [`DataDir`] holds its lock; files in it are readable by their owner only.

mod files;
mod socket;

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use autopack_domain::{Reason, fault::Fault, refusal::Refusal};

pub use files::RegistryFile;

use crate::paths::absolute;

/// Layout that this version writes.
const LAYOUT: u32 = 1;
/// Its folders.
const FOLDERS: [&str; 7] = [
    "db",
    "repos",
    "workspaces",
    "caches",
    "artifacts",
    "runs",
    "tmp",
];

/// The data directory, locked by this process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    owner: u32,
    // Unlocked by the system when this is closed, also after a crash.
    _lock: File,
}

/// What opening found.
#[derive(Debug)]
pub enum Opened {
    /// It is ours.
    Locked(DataDir),
    /// Another process has it; what it wrote about itself, if it got that far.
    Busy {
        /// Content of `registry.json`.
        registry: Option<RegistryFile>,
    },
}

impl DataDir {
    /// Opens, and makes if missing, a data directory. `repository` is the target's checkout, in which
    /// no data directory may be.
    pub fn open(path: &Path, repository: Option<&Path>) -> Result<Opened, Refusal> {
        let path = absolute(path).map_err(|error| unusable(path, &error))?;
        if let Some(repository) = repository {
            refuse_inside(&path, repository)?;
        }
        make_private(&path).map_err(|error| unusable(&path, &error))?;
        let lock = open_private(&path.join("lock")).map_err(|error| unusable(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Ok(Opened::Busy {
                    registry: files::read_registry(&path),
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
        }
        check_layout(&path)?;
        for folder in FOLDERS {
            make_private(&path.join(folder)).map_err(|error| unusable(&path, &error))?;
        }
        clear(&path.join("tmp")).map_err(|error| unusable(&path, &error))?;
        let owner = lock
            .metadata()
            .map_err(|error| unusable(&path, &error))?
            .uid();
        Ok(Opened::Locked(Self {
            path,
            owner,
            _lock: lock,
        }))
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database's folder.
    pub fn db(&self) -> PathBuf {
        self.path.join("db")
    }

    /// Our own clones.
    pub fn repos(&self) -> PathBuf {
        self.path.join("repos")
    }

    /// Build and gate folders.
    pub fn workspaces(&self) -> PathBuf {
        self.path.join("workspaces")
    }

    /// Caches of gates.
    pub fn caches(&self) -> PathBuf {
        self.path.join("caches")
    }

    /// Blobs.
    pub fn artifacts(&self) -> PathBuf {
        self.path.join("artifacts")
    }

    /// Reports of runs.
    pub fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// Scratch space; emptied by whoever opens the directory next.
    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Where the local registry listens; short enough for a Unix socket.
    pub fn socket(&self, lookup: &dyn Fn(&str) -> Option<String>) -> io::Result<PathBuf> {
        socket::path(&self.path, self.owner, lookup)
    }

    /// The token for connections over TCP: 256 random bits in hex, made at the first call.
    pub fn token(&self) -> io::Result<String> {
        files::token(&self.path)
    }

    /// Says how this process is reached.
    pub fn write_registry(&self, registry: &RegistryFile) -> io::Result<()> {
        files::write_registry(&self.path, registry)
    }

    /// Nobody is to look for this process any more.
    pub fn remove_registry(&self) -> io::Result<()> {
        files::remove_registry(&self.path)
    }

    /// What the last process wrote about itself.
    pub fn registry(&self) -> Option<RegistryFile> {
        files::read_registry(&self.path)
    }
}

/// Makes a folder, or takes the one that is there, and closes it to others. One that belongs to
/// somebody else, such as a mounted volume, stays as it is; what we make in it is closed.
fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(0o700)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Removes what the last process left in its scratch space.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn check_layout(path: &Path) -> Result<(), Refusal> {
    let file = path.join("version");
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(layout) if layout <= LAYOUT => Ok(()),
            Ok(layout) => Err(Refusal::new(
                Reason::SchemaTooNew,
                format!(
                    "{} was written by a newer version (layout {layout}, this version knows {LAYOUT}); \
                     use that version, or another directory with --data-dir",
                    path.display()
                ),
            )
            .with("layout", layout)
            .with("dataDir", path.display())),
            Err(_) => Err(bad_directory(format!(
                "{} is not a data directory: its `version` file does not hold a number",
                path.display()
            ))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            refuse_foreign(path)?;
            files::write_atomically(&file, format!("{LAYOUT}\n").as_bytes())
                .map_err(|error| unusable(path, &error))
        }
        Err(error) => Err(unusable(path, &error)),
    }
}

/// A folder without version file must be empty, or it is somebody else's.
fn refuse_foreign(path: &Path) -> Result<(), Refusal> {
    let entries = fs::read_dir(path).map_err(|error| unusable(path, &error))?;
    for entry in entries {
        let name = entry.map_err(|error| unusable(path, &error))?.file_name();
        let name = name.to_string_lossy();
        if name != "lock" && name != "lost+found" && !name.starts_with("version.") {
            return Err(bad_directory(format!(
                "{} is not empty (it holds `{name}`) and not a data directory; name another one with --data-dir",
                path.display()
            )));
        }
    }
    Ok(())
}

fn refuse_inside(path: &Path, repository: &Path) -> Result<(), Refusal> {
    let Ok(repository) = repository.canonicalize() else {
        return Ok(());
    };
    let top = repository
        .ancestors()
        .find(|folder| folder.join(".git").exists())
        .unwrap_or(&repository);
    if path.starts_with(top) {
        return Err(bad_directory(format!(
            "the data directory {} is inside the repository {}; name one outside it with --data-dir",
            path.display(),
            top.display()
        )));
    }
    Ok(())
}

fn unusable(path: &Path, error: &io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::StorageFull {
        return Refusal::new(
            Reason::DiskFullDatabase,
            format!("{}: {error}", path.display()),
        );
    }
    bad_directory(format!(
        "the data directory {} cannot be used: {error}; name another one with --data-dir",
        path.display()
    ))
}

fn bad_directory(problem: String) -> Refusal {
    Refusal::invalid(
        Reason::ArgumentInvalid,
        vec![Fault::new("data_dir", problem)],
    )
}
