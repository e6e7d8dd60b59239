//! A folder by its descriptor.
//!
//! Invariant: every step below a base folder refuses symbolic links, so no other folder can be put in its place while
//! it is worked in; what is read is a regular file of a bounded size.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _, unix::fs::DirBuilderExt as _},
    path::{Component, Path},
};

use autopack_domain::Timestamp;
use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    /// Of folders that are made in it; the base folder's, without others' right to write.
    mode: u32,
}

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Its name, which need not be text.
    pub(crate) name: OsString,
    /// It is a folder, and no link to one.
    pub(crate) is_folder: bool,
    /// It is a symbolic link.
    pub(crate) is_link: bool,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW);

impl Folder {
    /// A base folder, made for its owner only if it is missing. Its own path may lead over links: it is the user's.
    pub(crate) fn base(path: &Path) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)?;
        Self::there(path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// A base folder, if it is there.
    pub(crate) fn there(path: &Path) -> io::Result<Option<Self>> {
        let flags = FOLDER.difference(OFlags::NOFOLLOW);
        let fd = match fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        let mode = fs::fstat(&fd)?.st_mode & 0o755 | 0o700;
        Ok(Some(Self { fd, mode }))
    }

    /// A folder below; `None`: nothing of that name is there.
    pub(crate) fn open(&self, path: &Path) -> io::Result<Option<Self>> {
        self.walk(path, false)
    }

    /// A folder below, made where it is missing.
    pub(crate) fn make(&self, path: &Path) -> io::Result<Self> {
        let made = self.walk(path, true)?;
        made.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn walk(&self, path: &Path, make: bool) -> io::Result<Option<Self>> {
        let mut at = Self {
            fd: self.fd.try_clone()?,
            mode: self.mode,
        };
        for part in path.components() {
            let Component::Normal(name) = part else {
                let text = format!("{} leads out of its folder", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            };
            if make {
                match fs::mkdirat(&at.fd, name, Mode::from_raw_mode(self.mode)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            at.fd = match fs::openat(&at.fd, name, FOLDER, Mode::empty()) {
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(odd(name, "is no folder")),
                opened => opened?,
            };
        }
        Ok(Some(at))
    }

    /// A file's content; `None`: it is not there. A link, a pipe, or more than `max` bytes: `InvalidData`.
    pub(crate) fn read(&self, path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
        let name = path.file_name().unwrap_or_default();
        let Some(at) = self.open(path.parent().unwrap_or(Path::new("")))? else {
            return Ok(None);
        };
        // A pipe must not make us wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match fs::openat(&at.fd, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => {
                return Err(odd(name, "is a symbolic link or a socket"));
            }
            opened => File::from(opened?),
        };
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(odd(name, "is no regular file"));
        }
        if found.len() > max {
            return Err(odd(
                name,
                &format!("has {} bytes; at most {max} are read", found.len()),
            ));
        }
        let mut content = Vec::new();
        file.take(max + 1).read_to_end(&mut content)?;
        if content.len() as u64 > max {
            return Err(odd(name, "grows while it is read"));
        }
        Ok(Some(content))
    }

    /// Writes a new file in this folder; what has its name is removed before.
    pub(crate) fn create(&self, name: &OsStr, content: &[u8], sync: bool) -> io::Result<()> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(self.mode & 0o666);
        let mut file = File::from(fs::openat(&self.fd, name, flags, mode)?);
        file.write_all(content)?;
        if sync { file.sync_all() } else { Ok(()) }
    }

    /// Moves an entry, over another one if it has to.
    pub(crate) fn rename(&self, from: &OsStr, folder: &Self, to: &OsStr) -> io::Result<()> {
        match fs::renameat(&self.fd, from, &folder.fd, to) {
            Err(Errno::ISDIR) => Err(odd(to, "is a folder, and a file belongs there")),
            done => Ok(done?),
        }
    }

    /// Removes a file, a link, or an empty folder.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => {
                Ok(fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
            }
            Err(Errno::NOENT) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Whether something has this name.
    pub(crate) fn has(&self, name: &OsStr) -> io::Result<bool> {
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(false),
            found => Ok(found.map(|_| true)?),
        }
    }

    /// When an entry was last written.
    pub(super) fn modified(&self, name: &OsStr) -> io::Result<Timestamp> {
        let stat = fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let seconds = stat.st_mtime.max(0);
        Ok(Timestamp(seconds.saturating_mul(1_000_000)))
    }

    /// The first entries, by name; which are first is the file system's choice.
    pub(crate) fn entries(&self, most: usize) -> io::Result<Vec<Entry>> {
        let mut all = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if all.len() == most {
                break;
            }
            let kind = match entry.file_type() {
                // Not every file system says it here.
                FileType::Unknown => {
                    let found = fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(found.st_mode)
                }
                known => known,
            };
            all.push(Entry {
                name: name.to_owned(),
                is_folder: kind == FileType::Directory,
                is_link: kind == FileType::Symlink,
            });
        }
        all.sort();
        Ok(all)
    }

    /// Makes moves in this folder last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.fd)?)
    }

    /// Makes everything on its file system last.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        Ok(fs::syncfs(&self.fd)?)
    }
}

fn odd(name: &OsStr, what: &str) -> io::Error {
    let text = format!("`{}` {what}", name.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}
