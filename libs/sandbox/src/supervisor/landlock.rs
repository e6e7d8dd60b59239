//! Landlock: which files the command may write, and read where hidden folders cannot be covered.
//!
//! Invariant: what is handled here and not allowed is refused by the kernel, also for root, to the command and to all
//! that it starts; nobody can take a domain off again.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Reading: execute, read a file, list a folder.
const READ: u64 = 1 | 1 << 2 | 1 << 3;
/// Writing as of the first version: files, and entries of folders, device files included.
const WRITE: u64 = 1 << 1 | 0b1_1111_1111 << 4;
/// To rename or link from one folder into another; version 2.
const REFER: u64 = 1 << 13;
/// To cut a file; version 3.
const TRUNCATE: u64 = 1 << 14;
/// To make device files; nobody gets it.
const DEVICES: u64 = 1 << 6 | 1 << 11;
/// What can be granted on a file; the rest is about folders.
const OF_FILES: u64 = 1 | 1 << 1 | 1 << 2 | TRUNCATE;
/// TCP: bind and connect; version 4.
const TCP: u64 = 0b11;
/// Signals to, and abstract sockets of, processes outside; version 6.
const SCOPED: u64 = 0b11;
/// Devices that programs write to.
const DEVICE_FILES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];
/// So many entries beside hidden folders are opened for reading; what is beyond stays closed.
const MOST_ENTRIES: usize = 20_000;

/// What the kernel is asked for; version 6 of the structure, cut to what the kernel knows.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// One rule about a file and what is below it.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// A domain that a process can enter.
pub(super) struct Ruleset {
    fd: OwnedFd,
    /// The kernel's version of the interface.
    pub(super) version: i32,
}

/// What the domain is to refuse.
pub(super) struct Wanted<'a> {
    /// Folders and files that may be written.
    pub(super) write: &'a [PathBuf],
    /// Folders and files that may be read although they lie below a hidden one.
    pub(super) read: &'a [PathBuf],
    /// What may not be read; empty: everything may.
    pub(super) hide: &'a [PathBuf],
    /// TCP is refused.
    pub(super) no_tcp: bool,
}

impl Ruleset {
    /// Makes a domain, or tells why this kernel has none.
    pub(super) fn new(wanted: &Wanted<'_>) -> io::Result<Self> {
        let version = version()?;
        let mut writing = WRITE;
        if version >= 2 {
            writing |= REFER;
        }
        if version >= 3 {
            writing |= TRUNCATE;
        }
        let reading = if wanted.hide.is_empty() { 0 } else { READ };
        let attr = RulesetAttr {
            handled_access_fs: writing | reading,
            handled_access_net: if wanted.no_tcp && version >= 4 {
                TCP
            } else {
                0
            },
            scoped: if version >= 6 { SCOPED } else { 0 },
        };
        let ruleset = Self {
            fd: create(&attr, version)?,
            version,
        };
        let may = writing & !DEVICES | reading;
        for path in wanted.write {
            ruleset.allow(path, may)?;
        }
        for device in DEVICE_FILES {
            // A container may lack some of them.
            let _ = ruleset.allow(Path::new(device), may);
        }
        if reading != 0 {
            for path in wanted.read {
                ruleset.allow(path, reading)?;
            }
            let mut left = MOST_ENTRIES;
            ruleset.open_beside(Path::new("/"), wanted.hide, reading, &mut left)?;
        }
        Ok(ruleset)
    }

    /// Allows reading of everything below a folder that is not hidden.
    fn open_beside(
        &self,
        folder: &Path,
        hide: &[PathBuf],
        access: u64,
        left: &mut usize,
    ) -> io::Result<()> {
        if hide.iter().any(|hidden| folder.starts_with(hidden)) {
            return Ok(());
        }
        if !hide.iter().any(|hidden| hidden.starts_with(folder)) {
            // Gone again, or not to be entered by anybody.
            let _ = self.allow(folder, access);
            return Ok(());
        }
        for entry in fs::read_dir(folder)?.flatten() {
            let Some(next) = left.checked_sub(1) else {
                return Ok(());
            };
            *left = next;
            // A symbolic link grants nothing by itself.
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                self.open_beside(&entry.path(), hide, access, left)?;
            }
        }
        Ok(())
    }

    fn allow(&self, path: &Path, access: u64) -> io::Result<()> {
        let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let is_dir = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode)
            == rustix::fs::FileType::Directory;
        let rule = PathBeneath {
            allowed_access: if is_dir { access } else { access & OF_FILES },
            parent_fd: file.as_fd().as_raw_fd(),
        };
        add(self.fd.as_raw_fd(), &rule)
    }

    /// Puts the calling process into the domain; it has given up new rights before.
    pub(super) fn enter(&self) -> io::Result<()> {
        enter(self.fd.as_raw_fd())
    }
}

fn checked(result: libc::c_long) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as i32)
}

#[expect(
    unsafe_code,
    reason = "landlock has no safe wrapper among our libraries"
)]
fn version() -> io::Result<i32> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the call takes no attributes and answers a number.
    checked(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttr>(),
            0usize,
            VERSION,
        )
    })
}

#[expect(
    unsafe_code,
    reason = "landlock has no safe wrapper among our libraries"
)]
fn create(attr: &RulesetAttr, version: i32) -> io::Result<OwnedFd> {
    let known = match version {
        ..4 => 8usize,
        4..6 => 16,
        _ => size_of::<RulesetAttr>(),
    };
    // SAFETY: the structure is at least `known` bytes long, and the kernel only reads it.
    let fd = checked(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::from_ref(attr),
            known,
            0,
        )
    })?;
    // SAFETY: the kernel has just given us this descriptor, which is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[expect(
    unsafe_code,
    reason = "landlock has no safe wrapper among our libraries"
)]
fn add(ruleset: i32, rule: &PathBeneath) -> io::Result<()> {
    const PATH_BENEATH: libc::c_uint = 1;
    // SAFETY: the rule outlives the call, which reads it only.
    checked(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset,
            PATH_BENEATH,
            std::ptr::from_ref(rule),
            0,
        )
    })?;
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "landlock has no safe wrapper among our libraries"
)]
fn enter(ruleset: i32) -> io::Result<()> {
    // SAFETY: the call takes two integers.
    checked(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the thread enters the domain.
    #[test]
    fn where_nothing_can_be_covered_hidden_files_cannot_be_read() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let (hidden, beside) = (root.join("hidden"), root.join("beside"));
        let kept = hidden.join("kept");
        fs::create_dir_all(&kept).unwrap();
        for folder in [&hidden, &kept] {
            fs::write(folder.join("f"), "x").unwrap();
        }
        fs::write(&beside, "x").unwrap();
        let confined = move || {
            nix::sys::prctl::set_no_new_privs().unwrap();
            let wanted = Wanted {
                write: &[],
                read: std::slice::from_ref(&kept),
                hide: std::slice::from_ref(&hidden),
                no_tcp: true,
            };
            Ruleset::new(&wanted).unwrap().enter().unwrap();
            assert!(fs::read(hidden.join("f")).is_err());
            assert!(fs::read(kept.join("f")).is_ok() && fs::read(&beside).is_ok());
            assert!(fs::read("/etc/passwd").is_ok());
            assert!(fs::write(&beside, "y").is_err() && fs::write(kept.join("f"), "y").is_err());
            let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        };
        std::thread::spawn(confined).join().unwrap();
    }
}
