//! The small files of the data directory.
//!
//! Invariant: a reader sees a whole file or none, and never one that others may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// How the process that holds a data directory is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryFile {
    /// Its process id.
    pub pid: u32,
    /// Its Unix socket.
    pub socket: Option<PathBuf>,
    /// Its TCP address, such as `127.0.0.1:7878`.
    pub tcp: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

pub(super) fn read_registry(data: &Path) -> Option<RegistryFile> {
    let text = fs::read(data.join("registry.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

pub(super) fn write_registry(data: &Path, registry: &RegistryFile) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(registry).map_err(io::Error::other)?;
    write_atomically(&data.join("registry.json"), &text)
}

pub(super) fn remove_registry(data: &Path) -> io::Result<()> {
    match fs::remove_file(data.join("registry.json")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Writes beside, syncs, and moves into place; only under the directory's lock, so one name is enough.
pub(super) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

pub(super) fn token(data: &Path) -> io::Result<String> {
    let path = data.join("token");
    match fs::read_to_string(&path) {
        Ok(text) if is_token(text.trim()) => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let token = draw_token()?;
    write_atomically(&path, format!("{token}\n").as_bytes())?;
    Ok(token)
}

fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn draw_token() -> io::Result<String> {
    use std::fmt::Write as _;
    let mut random = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut token = String::with_capacity(64);
    for byte in random {
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}
