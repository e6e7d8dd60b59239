//! Where the Unix socket is.
//!
//! Invariant: the path fits into a socket address, and its folder belongs to us and to nobody else.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::make_private;

/// Longest path that every system's socket address takes, without its final zero.
const LONGEST: usize = 103;

/// In the data directory, or, if that name is too long, in the user's runtime folder or in `/tmp`.
pub(super) fn path(
    data: &Path,
    owner: u32,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> io::Result<PathBuf> {
    let near = data.join("registry.sock");
    if fits(&near) {
        return Ok(near);
    }
    let hash = Sha256::digest(data.as_os_str().as_bytes());
    let name = hash.iter().take(8).fold(String::new(), |mut name, byte| {
        use std::fmt::Write as _;
        let _ = write!(name, "{byte:02x}");
        name
    });
    let name = format!("{name}.sock");
    let runtime = lookup("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|folder| folder.is_absolute() && folder.is_dir());
    let folder = runtime
        .map(|folder| folder.join("autopack"))
        .filter(|folder| fits(&folder.join(&name)))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/autopack-{owner}")));
    make_private(&folder)?;
    // In a folder that all may write to, another user could have been first.
    let found = fs::symlink_metadata(&folder)?;
    if !found.is_dir() || found.uid() != owner {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} belongs to somebody else", folder.display()),
        ));
    }
    Ok(folder.join(name))
}

fn fits(path: &Path) -> bool {
    path.as_os_str().as_bytes().len() <= LONGEST
}
