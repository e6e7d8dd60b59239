//! Bytes to lines of bounded length.
//!
//! Invariant: at most [`MAX_LINE`] bytes are held; a longer line is dropped whole and counted.

/// The longest line that is looked at.
pub(crate) const MAX_LINE: usize = 4 * 1024 * 1024;

/// Splits a stream into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    held: Vec<u8>,
    dropping: bool,
    /// Lines that were too long.
    pub(crate) dropped: u64,
}

impl Lines {
    /// Hands over every line that these bytes complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (part, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.dropping {
                self.dropping = false;
            } else if self.held.is_empty() && part.len() <= MAX_LINE {
                line(part);
            } else if self.held.len() + part.len() <= MAX_LINE {
                self.held.extend_from_slice(part);
                line(&self.held);
            } else {
                self.dropped += 1;
            }
            self.held.clear();
        }
        if self.dropping {
            return;
        }
        if self.held.len() + bytes.len() > MAX_LINE {
            self.held = Vec::new();
            self.dropping = true;
            self.dropped += 1;
        } else {
            self.held.extend_from_slice(bytes);
        }
    }

    /// The last line, if the stream did not end with a line's end.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            line(&held);
        }
    }
}

/// The start of a text, at most so many characters.
pub(crate) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| found.push(line.to_vec()));
        }
        lines.finish(|line| found.push(line.to_vec()));
        (found, lines.dropped)
    }

    #[test]
    fn lines_come_whole_however_the_bytes_come() {
        let whole = split(&[b"ab\n\ncd"]);
        assert_eq!(
            whole,
            (vec![b"ab".to_vec(), b"".to_vec(), b"cd".to_vec()], 0)
        );
        assert_eq!(split(&[b"a", b"b\n", b"\nc", b"d"]), whole);
    }

    #[test]
    fn a_line_without_end_is_dropped_and_the_next_is_read() {
        let long = vec![b'x'; MAX_LINE + 1];
        assert_eq!(split(&[&long, &long, b"\nok\n"]), (vec![b"ok".to_vec()], 1));
    }

    #[test]
    fn texts_are_clipped_between_characters() {
        assert_eq!(clip("äöü", 2), "äö...");
        assert_eq!(clip("äö", 2), "äö");
    }
}
