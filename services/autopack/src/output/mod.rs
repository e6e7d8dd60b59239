//! Everything that is printed.
//!
//! Invariant: data goes to standard output, everything else to standard error, and a closed pipe is no panic.
//!
//! - [`import`]: what became of the rows of an older database
//! - [`issues`]: issues and backlogs
//! - [`json`]: messages as JSON
//! - [`report`]: figures of runs, backlogs and budgets
//! - [`table`]: columns of text
//! - [`text`]: a run for people
//! - [`workers`]: workers and what they hold
//! - [`live`]: progress of a run that is followed

pub(crate) mod import;
pub(crate) mod issues;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod promotion;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod workers;

use std::io::{IsTerminal as _, Write as _};

use sha2::{Digest as _, Sha256};

use crate::{
    cli::Global,
    error::{CliError, Exit},
};

/// How this process prints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ui {
    /// Data as JSON.
    pub(crate) json: bool,
    /// No progress.
    pub(crate) quiet: bool,
    /// Colours on standard output.
    pub(crate) colour: bool,
    /// Progress bars.
    pub(crate) bars: bool,
}

impl Ui {
    /// From flags, environment, and where the output goes.
    pub(crate) fn new(global: &Global) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let forced = set("CLICOLOR_FORCE") && !set("NO_COLOR");
        let plain = global.no_color || set("NO_COLOR") || dumb;
        Self {
            json: global.json,
            quiet: global.quiet,
            colour: !plain && !global.json && (forced || std::io::stdout().is_terminal()),
            bars: !global.quiet && !dumb && std::io::stderr().is_terminal(),
        }
    }

    /// A line for people, unless they asked for quiet.
    pub(crate) fn say(self, line: &str) {
        if !self.quiet {
            stderr(line);
        }
    }

    /// An error for people, or, with `--json`, for programs.
    pub(crate) fn error(self, error: &CliError) {
        if self.json {
            stderr(&error.json().to_string());
        } else {
            stderr(&error.render());
        }
    }

    /// JSON, or the text that stands for it.
    pub(crate) fn data(
        self,
        json: impl FnOnce() -> serde_json::Value,
        text: impl FnOnce() -> String,
    ) {
        if self.json {
            stdout(&format!("{:#}\n", json()));
        } else {
            stdout(&text());
        }
    }

    /// A word in the colour of what it says.
    pub(crate) fn state(self, state: &str) -> String {
        if !self.colour {
            return state.to_owned();
        }
        let colour = match state {
            "COMPLETE" | "DONE_SUCCESS" | "SUCCEEDED" => "32",
            "FAILED" | "LOST" => "31",
            "SKIPPED" | "DONE_CANCELLED" | "CANCELLED" | "HANDED_OVER" => "33",
            _ if state.starts_with("DONE_FAILED") => "31",
            _ => "36",
        };
        format!("\x1b[{colour}m{state}\x1b[0m")
    }
}

/// Prints what the parser of the command line says: help is data, a fault is not.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Success
    }
}

/// Prints data as it is.
pub(crate) fn stdout(text: &str) {
    stdout_bytes(text.as_bytes());
}

/// Prints data as it is; nobody reads on after closing a pipe.
pub(crate) fn stdout_bytes(content: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(content).and_then(|()| out.flush());
}

/// Prints a line for people.
pub(crate) fn stderr(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// SHA-256 in hex.
pub(crate) fn hex_sha256(content: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(content)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The first line of a text, at most `max` characters of it, without control characters.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let mut short: String = line.chars().filter(|c| !c.is_control()).take(max).collect();
    if line.chars().count() > max {
        short.push('…');
    }
    short
}

/// A number with its noun.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_cannot_steer_the_terminal() {
        assert_eq!(one_line("\n  \x1b[31mred\x07 \nmore", 80), "[31mred");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("", 3), "");
    }

    #[test]
    fn colours_only_where_asked() {
        assert_eq!(Ui::default().state("FAILED"), "FAILED");
        let ui = Ui {
            colour: true,
            ..Ui::default()
        };
        assert_eq!(ui.state("COMPLETE"), "\x1b[32mCOMPLETE\x1b[0m");
    }
}
