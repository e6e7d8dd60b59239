//! What the next attempt is told of a red gate: which tests, the first error, the output around it, what had changed,
//! and the command that shows it again.
//!
//! Invariant: bounded, whatever was printed; the caller takes secrets out of the whole text.

use std::fmt::Write as _;

use crate::text::{Pattern, one_line, plain};

/// Most tests that are named.
const TESTS: usize = 50;
/// Most changed files that are named.
const CHANGED: usize = 30;
/// Lines before and after the first error.
const WINDOW: (usize, usize) = (5, 25);
/// Longest window, in bytes.
const WINDOW_BYTES: usize = 3 * 1024;
/// Longest end of the output, in bytes.
pub const TAIL_BYTES: usize = 6 * 1024;

/// A red test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedTest {
    /// Its id.
    pub id: String,
    /// Why it is red, if its runner says.
    pub message: String,
    /// What else is known, such as that it is red on the base.
    pub note: String,
}

/// What is known of a step that ended a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its command line.
    pub run: &'a str,
    /// Its folder.
    pub dir: &'a str,
    /// Its own variables.
    pub env: Vec<(&'a str, &'a str)>,
    /// How it ended, for people.
    pub end: String,
    /// Its red tests.
    pub red: Vec<RedTest>,
    /// What else is to be said, a line each.
    pub notes: Vec<String>,
    /// Changed paths with a letter before each.
    pub changed: Vec<String>,
    /// What it printed.
    pub output: &'a str,
}

/// The packet as text.
pub fn render(packet: &Packet<'_>) -> String {
    let mut text = format!("`{}`: {}\n", one_line(packet.run, 500), packet.end);
    for note in &packet.notes {
        text.push_str(note);
        text.push('\n');
    }
    if !packet.red.is_empty() {
        text.push_str("failing tests:\n");
        listed(&mut text, packet.red.iter().map(RedTest::line), TESTS);
    }
    let output = plain(packet.output);
    let output = output.trim_end();
    let first = first_error(output, &packet.red);
    if let Some((line, _)) = first {
        let _ = write!(text, "the first error:\n  {}\n", one_line(line, 500));
    }
    if !packet.changed.is_empty() {
        text.push_str("the change that was tested:\n");
        listed(
            &mut text,
            packet.changed.iter().map(|path| one_line(path, 300)),
            CHANGED,
        );
    }
    let _ = write!(text, "to see it again:\n  {}\n", again(packet));
    let tail = tail(output, TAIL_BYTES);
    if let Some((_, at)) = first {
        let before_tail = output.len() - tail.len();
        if at < before_tail {
            text.push_str("its output around the first error:\n");
            text.push_str(window(output, at));
            text.push('\n');
        }
    }
    if !tail.is_empty() {
        text.push_str("the end of its output:\n");
        if tail.len() < output.len() {
            text.push_str("[... cut ...]\n");
        }
        text.push_str(tail);
    }
    text
}

impl RedTest {
    fn line(&self) -> String {
        let mut line = self.id.clone();
        if !self.note.is_empty() {
            line = format!("{line} ({})", self.note);
        }
        if !self.message.is_empty() {
            line = format!("{line}: {}", one_line(&self.message, 300));
        }
        line
    }
}

fn listed(text: &mut String, lines: impl ExactSizeIterator<Item = String>, max: usize) {
    let more = lines.len().saturating_sub(max);
    for line in lines.take(max) {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
}

/// The line that says first what is wrong, and where in the output it begins.
fn first_error<'o>(output: &'o str, red: &[RedTest]) -> Option<(&'o str, usize)> {
    static ERROR: Pattern = Pattern::new(
        r"(?x) ^\s*(?: error(?:\[\w+\])?: | ERROR\b | FAIL(?:ED)?: | E\s{2,}\S | fatal: | panic: | not\ ok\b | ✖\s | ✕\s
            | \[ERROR\]\s\S | ●\s | [A-Za-z_][\w.]*(?:Error|Exception)\b: | --- FAIL: | thread\ '.*panicked\ at )",
    );
    let said = red
        .iter()
        .map(|test| test.message.as_str())
        .find(|m| m.chars().count() >= 8);
    let mut at = 0;
    let mut found = None;
    for line in output.split_inclusive('\n') {
        let bare = line.trim_end();
        if said.is_some_and(|said| bare.contains(said)) || ERROR.is_match(bare) {
            found = Some((bare, at));
            break;
        }
        at += line.len();
    }
    found
}

/// The lines around a place.
fn window(output: &str, at: usize) -> &str {
    let mut from = at;
    for _ in 0..WINDOW.0 {
        from = output[..from.saturating_sub(1)]
            .rfind('\n')
            .map_or(0, |n| n + 1);
    }
    let mut to = at;
    for _ in 0..WINDOW.1 {
        to = output[to..].find('\n').map_or(output.len(), |n| to + n + 1);
    }
    let mut end = to.min(from + WINDOW_BYTES).min(output.len());
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    output[from..end].trim_end()
}

fn tail(output: &str, max: usize) -> &str {
    let mut from = output.len().saturating_sub(max);
    while !output.is_char_boundary(from) {
        from += 1;
    }
    &output[from..]
}

fn again(packet: &Packet<'_>) -> String {
    let mut line = String::new();
    if !packet.dir.is_empty() {
        let _ = write!(line, "cd {} && ", quoted(packet.dir));
    }
    for (name, value) in &packet.env {
        let _ = write!(line, "{name}={} ", quoted(value));
    }
    line.push_str(packet.run);
    one_line(&line, 1000)
}

/// A word of a shell line.
fn quoted(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '=' | ':' | ',');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
