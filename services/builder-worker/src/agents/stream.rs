//! An agent's output: read while it grows, and archived within a bound.
//!
//! Invariant: one piece of the stream is in memory at a time, and links or anything but plain files are not followed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use autopack_adapters::Parser;

/// The most that is read at once.
const PIECE: usize = 1024 * 1024;
/// The most that is archived of either end.
const END: u64 = 4 * 1024 * 1024;

/// A growing file and the parser that reads it.
pub(super) struct Stream {
    path: PathBuf,
    file: Option<File>,
    pub(super) parser: Parser,
}

impl Stream {
    pub(super) fn new(path: PathBuf, parser: Parser) -> Self {
        Self {
            path,
            file: None,
            parser,
        }
    }

    /// Reads one piece; `false`: there is no more at present. Blocks.
    pub(super) fn step(&mut self) -> bool {
        if self.file.is_none() {
            self.file = open(&self.path).ok();
        }
        let Some(file) = &mut self.file else {
            return false;
        };
        let mut piece = Vec::with_capacity(PIECE);
        // What cannot be read is missing, as if it had not been written.
        let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let more = read.is_ok() && !piece.is_empty();
        self.parser.push(&piece);
        more
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// The raw stream for the archive: all of it, or its two ends with a line between that tells what is missing. Blocks.
pub(crate) fn archive(path: &Path) -> Vec<u8> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = open(path)?;
        let size = file.metadata()?.len();
        let mut bytes = Vec::new();
        if size <= 2 * END {
            file.take(2 * END).read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        file.by_ref().take(END).read_to_end(&mut bytes)?;
        let missing = size - 2 * END;
        bytes.extend_from_slice(
            format!("\n[... {missing} bytes are not archived ...]\n").as_bytes(),
        );
        file.seek(SeekFrom::Start(size - END))?;
        file.take(END).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_adapters::Manifest;
    use autopack_domain::plan::Adapter;

    #[test]
    fn a_stream_is_read_as_it_grows() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("out");
        let parser = Parser::new(Manifest::of(Adapter::Goose), "", "");
        let mut stream = Stream::new(path.clone(), parser);
        assert!(!stream.step());
        std::fs::write(&path, "{\"type\":\"notification\"}\n{\"type\":\"comp").unwrap();
        assert!(stream.step() && !stream.step() && !stream.parser.has_ended());
        let whole = "{\"type\":\"notification\"}\n{\"type\":\"complete\"}\n";
        std::fs::write(&path, whole).unwrap();
        assert!(stream.step() && stream.parser.has_ended());
    }

    #[test]
    fn an_archive_keeps_both_ends_and_says_what_it_lacks() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("out");
        assert!(archive(&path).is_empty());
        std::fs::write(&path, "all of it").unwrap();
        assert_eq!(archive(&path), b"all of it");
        let mut long = vec![b'x'; 2 * END as usize + 7];
        long.extend_from_slice(b"the end");
        std::fs::write(&path, &long).unwrap();
        let kept = archive(&path);
        assert!(kept.len() < long.len() + 60 && kept.ends_with(b"the end"));
        assert!(String::from_utf8_lossy(&kept).contains("[... 14 bytes are not archived ...]"));
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(archive(&link).is_empty());
    }
}
