//! Mounts of the command's own: what it must not see is covered, what it needs of that is put back.
//!
//! Invariant: nothing of this reaches the host: the namespace is the supervisor's, and every mount in it is private. A
//! command that cannot mount (no rights, or landlock) cannot take a cover off.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::spec::Files;

/// Size of shared memory, which is the command's own.
const SHARED_MEMORY: &CStr = c"size=256m,mode=1777";
/// Size of a cover, which holds names only.
const COVER: &CStr = c"size=1m,mode=0755";
/// Where shared memory is.
pub(super) const SHM: &str = "/dev/shm";
/// What a private temporary folder stands in for.
pub(super) const TMP: [&str; 2] = ["/tmp", "/var/tmp"];

/// Covers what is hidden. Call it in a mount namespace of one's own.
pub(super) fn cover(files: &Files) -> io::Result<()> {
    mount(
        None,
        Path::new("/"),
        None,
        libc::MS_REC | libc::MS_PRIVATE,
        None,
    )?;
    let temporary = files
        .tmp
        .as_deref()
        .map(|folder| [copy(folder), copy(folder)]);
    let mut covered: Vec<&Path> = files.hide.iter().map(PathBuf::as_path).collect();
    if temporary.is_some() {
        covered.extend(TMP.map(Path::new));
    }
    // Taken while everything can still be seen.
    let mut kept: Vec<(&Path, OwnedFd)> = Vec::new();
    for path in files.write.iter().chain(&files.read) {
        let lies_below = covered
            .iter()
            .any(|cover| path != cover && path.starts_with(cover));
        if lies_below && path.exists() {
            kept.push((path, copy(path)?));
        }
    }
    kept.sort_by_key(|(path, _)| path.components().count());
    for path in &files.hide {
        let below = files
            .hide
            .iter()
            .any(|other| other != path && path.starts_with(other));
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() && !below => {
                mount(
                    Some(c"tmpfs"),
                    path,
                    Some(c"tmpfs"),
                    libc::MS_NOSUID | libc::MS_NODEV,
                    Some(COVER),
                )?;
            }
            Ok(found) if found.is_file() && !below => put(&copy(Path::new("/dev/null"))?, path)?,
            // Nothing is there, or a link: what it leads to is named by itself.
            _ => {}
        }
    }
    for (folder, target) in temporary.into_iter().flatten().zip(TMP.map(Path::new)) {
        if target.is_dir() {
            put(&folder?, target)?;
        }
    }
    for (path, handle) in kept {
        place(&handle, path)?;
        put(&handle, path)?;
    }
    let _ = mount(
        Some(c"tmpfs"),
        Path::new(SHM),
        Some(c"tmpfs"),
        libc::MS_NOSUID | libc::MS_NODEV,
        Some(SHARED_MEMORY),
    );
    Ok(())
}

/// Makes something at the path that a mount can stand on.
fn place(handle: &OwnedFd, path: &Path) -> io::Result<()> {
    use rustix::fs::{FileType, fstat};
    let is_dir = FileType::from_raw_mode(fstat(handle)?.st_mode) == FileType::Directory;
    if is_dir {
        return fs::create_dir_all(path);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .map(drop)
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[expect(
    unsafe_code,
    reason = "mounts have no safe wrapper among our libraries"
)]
fn mount(
    source: Option<&CStr>,
    target: &Path,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> io::Result<()> {
    let target = text(target)?;
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a string that outlives the call.
    let result = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            pointer(data).cast(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// What stands at the path, with the mounts below it, as a mount that is nowhere yet.
#[expect(
    unsafe_code,
    reason = "mounts have no safe wrapper among our libraries"
)]
fn copy(path: &Path) -> io::Result<OwnedFd> {
    let path = text(path)?;
    let flags =
        libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as libc::c_uint;
    // SAFETY: the path outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Mounts such a copy.
#[expect(
    unsafe_code,
    reason = "mounts have no safe wrapper among our libraries"
)]
fn put(handle: &OwnedFd, path: &Path) -> io::Result<()> {
    /// The source is the descriptor itself.
    const EMPTY_PATH: libc::c_uint = 4;
    let path = text(path)?;
    // SAFETY: both strings outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            handle.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            EMPTY_PATH,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
