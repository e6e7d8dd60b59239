//! Takes secrets out of captured text.
//!
//! Invariant: memory is bounded whatever the length of the text or of its lines, and a secret that the caller named
//! is found even if it came in pieces. Patterns of common tokens are a net below that, not a promise.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::{CapturedOutput, SandboxError};

/// What stands in place of a secret.
pub const MARK: &str = "[redacted]";

/// A named secret shorter than this is ignored: it would blot out ordinary text.
const SHORTEST: usize = 4;
/// A line longer than this is looked at in pieces.
const LONGEST_LINE: usize = 64 * 1024;
/// How far before the end of a piece a cut is looked for.
const CUT_WINDOW: usize = 8 * 1024;
/// A private key without an end is not taken to be longer than this.
const LONGEST_KEY: usize = 64 * 1024;

/// Tokens that show what they are. The first group, if any, is kept.
const PATTERNS: &str = r#"(?x-u)
      \bgh[pousr]_[A-Za-z0-9]{20,}
    | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bglpat-[A-Za-z0-9_-]{20,}
    | \bsk-[A-Za-z0-9_-]{20,}
    | \b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
    | \bAIza[0-9A-Za-z_-]{35}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}
    | \bnpm_[A-Za-z0-9]{36}
    | \bpypi-[A-Za-z0-9_-]{32,}
    | \beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+
    | ((?i:authorization)["']?\s*[:=]\s*["']?(?i:bearer|basic|token)\s+)[^\s"',;]+
    | ((?i:x-api-key|private-token)["']?\s*[:=]\s*["']?)[^\s"',;]{8,}
    | (\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?-x:@)
"#;

#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that every test compiles"
)]
static TOKENS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(PATTERNS).expect("a constant pattern"));
#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that every test compiles"
)]
static KEY_BEGIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
        .expect("a constant pattern")
});
#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that every test compiles"
)]
static KEY_END: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
        .expect("a constant pattern")
});

/// Knows what to look for.
#[derive(Debug, Clone)]
pub struct Redactor {
    named: Option<Regex>,
}

impl Redactor {
    /// Looks for these values, each line of them by itself, and for common tokens. Values under 4 bytes are ignored.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, SandboxError> {
        let mut lines: Vec<String> = Vec::new();
        for secret in secrets {
            let parts = secret
                .as_ref()
                .lines()
                .map(str::trim)
                .filter(|line| line.len() >= SHORTEST);
            lines.extend(parts.map(regex::escape));
        }
        if lines.is_empty() {
            return Ok(Self { named: None });
        }
        // The first alternative wins, so that a secret which contains another goes as a whole.
        lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
        lines.dedup();
        let named = RegexBuilder::new(&lines.join("|"))
            .unicode(false)
            .build()
            .map_err(|error| SandboxError::Redaction(error.to_string()))?;
        Ok(Self { named: Some(named) })
    }

    /// A text without its secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut bytes = stream.push(text.as_bytes());
        bytes.extend(stream.finish());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A captured output without its secrets. Where the middle was dropped, the words at the cut go too: they may be
    /// parts of secrets.
    pub fn redact_output(&self, output: &CapturedOutput) -> CapturedOutput {
        if output.dropped == 0 {
            return CapturedOutput {
                head: self.redact(&output.head),
                tail: self.redact(&output.tail),
                ..output.clone()
            };
        }
        let head = output
            .head
            .trim_end_matches(|letter: char| !letter.is_whitespace());
        let tail = output
            .tail
            .trim_start_matches(|letter: char| !letter.is_whitespace());
        let cut = (output.head.len() - head.len()) + (output.tail.len() - tail.len());
        CapturedOutput {
            head: self.redact(head),
            tail: self.redact(tail),
            dropped: output.dropped + cut as u64,
            total: output.total,
        }
    }

    /// For text that comes in pieces.
    pub fn stream(&self) -> RedactStream<'_> {
        RedactStream {
            redactor: self,
            pending: Vec::new(),
            in_key: None,
        }
    }

    fn line(&self, line: &[u8]) -> Vec<u8> {
        let named = self
            .named
            .as_ref()
            .map(|named| named.replace_all(line, MARK.as_bytes()));
        let line = named.as_deref().unwrap_or(line);
        let mark = |found: &Captures<'_>| {
            let whole = found.get(0).map_or(&b""[..], |whole| whole.as_bytes());
            let kept = (1..found.len()).find_map(|group| found.get(group));
            let mut text = kept.map_or_else(Vec::new, |kept| kept.as_bytes().to_vec());
            text.extend_from_slice(MARK.as_bytes());
            // The separator of a URL's credentials.
            text.extend(whole.last().filter(|byte| **byte == b'@'));
            text
        };
        TOKENS.replace_all(line, mark).into_owned()
    }

    /// Where to cut a line that is too long: not in a word if that can be, and never in a named secret.
    fn cut(&self, line: &[u8]) -> usize {
        let window = line.len() - CUT_WINDOW;
        let space = line[window..].iter().rposition(u8::is_ascii_whitespace);
        let cut = space.map_or(window, |at| window + at + 1);
        let mut secrets = self.named.iter().flat_map(|named| named.find_iter(line));
        match secrets.find(|secret| secret.start() < cut && cut < secret.end()) {
            Some(secret) if secret.start() > 0 => secret.start(),
            Some(secret) => secret.end(),
            None => cut,
        }
    }
}

/// Redaction in progress. What comes out lags behind what goes in by a line.
#[derive(Debug)]
pub struct RedactStream<'a> {
    redactor: &'a Redactor,
    pending: Vec<u8>,
    /// Bytes seen of a private key whose end has not come.
    in_key: Option<usize>,
}

impl RedactStream<'_> {
    /// Takes the next bytes and gives what is certain by now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(LONGEST_LINE) {
                self.pending.extend_from_slice(piece);
                if self.pending.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.pending);
                    self.take(&line, &mut out);
                } else if self.pending.len() > LONGEST_LINE {
                    let rest = self.pending.split_off(self.redactor.cut(&self.pending));
                    let line = std::mem::replace(&mut self.pending, rest);
                    self.take(&line, &mut out);
                }
            }
        }
        out
    }

    /// Gives the rest.
    pub fn finish(mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.pending);
        let mut out = Vec::new();
        self.take(&line, &mut out);
        out
    }

    fn take(&mut self, mut line: &[u8], out: &mut Vec<u8>) {
        loop {
            if let Some(seen) = self.in_key {
                if let Some(end) = KEY_END.find(line) {
                    self.in_key = None;
                    line = &line[end.end()..];
                } else if seen + line.len() > LONGEST_KEY {
                    self.in_key = None;
                } else {
                    self.in_key = Some(seen + line.len());
                    return;
                }
            }
            let Some(begin) = KEY_BEGIN.find(line) else {
                break;
            };
            out.extend(self.redactor.line(&line[..begin.start()]));
            out.extend_from_slice(MARK.as_bytes());
            self.in_key = Some(0);
            line = &line[begin.end()..];
        }
        out.extend(self.redactor.line(line));
    }
}

#[cfg(test)]
mod tests;
