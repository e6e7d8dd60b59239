//! Keeps the start and the end of an output of any size.
//!
//! Invariant: memory is bounded by the two sizes given at the start, whatever is pushed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::CapturedOutput;

/// The kept output.
pub(crate) struct Capture {
    head: Vec<u8>,
    head_cap: usize,
    /// A ring once it is full: `tail_at` is then its oldest byte.
    tail: Vec<u8>,
    tail_cap: usize,
    tail_at: usize,
    total: u64,
}

impl Capture {
    /// Nothing yet.
    pub(crate) fn new(head_cap: usize, tail_cap: usize) -> Self {
        Self {
            head: Vec::new(),
            head_cap,
            tail: Vec::new(),
            tail_cap,
            tail_at: 0,
            total: 0,
        }
    }

    /// Bytes pushed.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_cap - self.head.len()));
        self.head.extend_from_slice(head);
        let mut rest = &rest[rest.len().saturating_sub(self.tail_cap)..];
        let (grow, more) = rest.split_at(rest.len().min(self.tail_cap - self.tail.len()));
        self.tail.extend_from_slice(grow);
        rest = more;
        while !rest.is_empty() {
            let room = self.tail_cap - self.tail_at;
            let (now, later) = rest.split_at(rest.len().min(room));
            self.tail[self.tail_at..self.tail_at + now.len()].copy_from_slice(now);
            self.tail_at = (self.tail_at + now.len()) % self.tail_cap;
            rest = later;
        }
    }

    /// The text of it. Characters that a cut went through count as dropped.
    pub(crate) fn finish(mut self) -> CapturedOutput {
        self.tail.rotate_left(self.tail_at);
        let kept = (self.head.len() + self.tail.len()) as u64;
        if kept == self.total {
            self.head.append(&mut self.tail);
            let head = String::from_utf8_lossy(&self.head).into_owned();
            return CapturedOutput {
                head,
                tail: String::new(),
                dropped: 0,
                total: self.total,
            };
        }
        let head = &self.head[..self.head.len() - cut_at_end(&self.head)];
        let tail = &self.tail[cut_at_start(&self.tail)..];
        CapturedOutput {
            dropped: self.total - (head.len() + tail.len()) as u64,
            head: String::from_utf8_lossy(head).into_owned(),
            tail: String::from_utf8_lossy(tail).into_owned(),
            total: self.total,
        }
    }
}

/// Bytes of an unfinished character at the end.
fn cut_at_end(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let needs = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if needs > back { back } else { 0 };
    }
    0
}

/// Bytes at the start that continue a character.
fn cut_at_start(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take(3)
        .take_while(|byte| (0x80..=0xBF).contains(*byte))
        .count()
}

/// A file that takes output up to a limit.
pub(crate) struct Log {
    file: Option<File>,
    left: u64,
    truncated: bool,
}

impl Log {
    /// Creates or empties the file; a symbolic link in its place is refused.
    pub(crate) fn create(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Self {
            file: Some(file),
            left: limit,
            truncated: false,
        })
    }

    /// Writes what fits. A failed write ends the log, not the command.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let fits = bytes
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.truncated |= fits < bytes.len();
        self.left -= fits as u64;
        if let Some(file) = &mut self.file
            && file.write_all(&bytes[..fits]).is_err()
        {
            self.file = None;
            self.truncated = true;
        }
    }

    /// Whether something is missing in the file.
    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(head: usize, tail: usize, chunks: &[&[u8]]) -> CapturedOutput {
        let mut capture = Capture::new(head, tail);
        for chunk in chunks {
            capture.push(chunk);
        }
        capture.finish()
    }

    #[test]
    fn all_is_kept_while_it_fits() {
        let output = kept(4, 4, &[b"ab", b"cdef", b"gh"]);
        assert_eq!(
            (output.head.as_str(), output.tail.as_str(), output.dropped),
            ("abcdefgh", "", 0)
        );
        assert_eq!(output.text(), "abcdefgh");
    }

    #[test]
    fn the_middle_is_dropped_whatever_the_chunks() {
        let bytes: Vec<u8> = (0..1000_u32)
            .map(|number| b'a' + (number % 26) as u8)
            .collect();
        for size in [1, 3, 7, 10, 11, 64, 1000] {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let output = kept(5, 11, &chunks);
            assert_eq!(output.head.as_bytes(), &bytes[..5], "chunks of {size}");
            assert_eq!(output.tail.as_bytes(), &bytes[989..], "chunks of {size}");
            assert_eq!((output.dropped, output.total), (984, 1000));
        }
    }

    #[test]
    fn no_room_keeps_nothing() {
        let output = kept(0, 0, &[b"abc"]);
        assert_eq!((output.dropped, output.total), (3, 3));
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        let text = "é".repeat(20);
        let output = kept(5, 5, &[text.as_bytes()]);
        assert_eq!(
            (output.head.as_str(), output.tail.as_str(), output.dropped),
            ("éé", "éé", 32)
        );
        assert!(
            !kept(3, 30, &[&text.as_bytes()[..20]])
                .head
                .contains('\u{fffd}')
        );
    }
}
