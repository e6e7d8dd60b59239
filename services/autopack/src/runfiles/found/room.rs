//! How much of folders is read back.
//!
//! Invariant: what is read comes off the room before it is judged; a folder that does not fit into what is left ends the
//! reading, and one that would never fit is at fault itself.

use std::{io, path::Path};

use super::super::folder::Folder;

/// Bytes of one folder.
const FOLDER: u64 = 16 << 20;

/// What may still be read.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// Folders.
    folders: usize,
    /// Bytes of all folders.
    bytes: u64,
    /// Bytes of the folder that is being read.
    folder: u64,
    over: bool,
}

impl Default for Room {
    /// 64 MiB of 1,000 folders.
    fn default() -> Self {
        Self::new(1000, 64 << 20)
    }
}

impl Room {
    /// Room for so many folders and so many bytes.
    pub(crate) fn new(folders: usize, bytes: u64) -> Self {
        Self {
            folders,
            bytes,
            folder: FOLDER,
            over: false,
        }
    }

    /// Whether the reading has to end: the last folder was not read, or not as a whole.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Another folder is begun.
    pub(super) fn enter(&mut self) {
        self.folder = FOLDER;
        self.over |= self.folders == 0;
        self.folders = self.folders.saturating_sub(1);
    }

    /// A file's content, as [`Folder::read`] has it; what does not fit is `InvalidData`.
    pub(super) fn read(
        &mut self,
        folder: &Folder,
        path: &Path,
        max: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        if self.over {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "is not read any more",
            ));
        }
        let found = folder.read(path, max)?;
        let size = found.as_ref().map_or(0, |content| content.len() as u64);
        if size > self.folder {
            let text = format!("makes the folder larger than {FOLDER} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if size > self.bytes {
            self.over = true;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "is not read any more",
            ));
        }
        self.folder -= size;
        self.bytes -= size;
        Ok(found)
    }
}
