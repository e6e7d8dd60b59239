//! Names of failing tests, as their runner prints them.
//!
//! Invariant: at most [`MAX_IDS`] names of at most [`MAX_ID_CHARS`] characters, each once, in the order of
//! their first appearance; they are shown to people and compared between runs, and decide nothing.

use std::collections::HashSet;

use crate::text::{Pattern, one_line, plain};

/// Most names that are kept.
pub const MAX_IDS: usize = 50;
/// Longest name that is kept.
pub const MAX_ID_CHARS: usize = 300;

/// One form per runner; group 1 is the name.
static FORMS: [Pattern; 15] = [
    // pytest: short summary
    Pattern::new(r"^(?:FAILED|ERROR) (\S+\.py(?:::.+?)?)(?: - .*)?$"),
    // unittest
    Pattern::new(r"^(?:FAIL|ERROR): (\S+ \([\w.<>]+\)(?: [\[(].*)?)$"),
    // cargo test
    Pattern::new(r"^test (\S.*?)(?: - should panic)? \.\.\. FAILED$"),
    // nextest
    Pattern::new(r"^\s+(?:FAIL|TIMEOUT|SIG\w+|ABORT|LEAK-FAIL) \[[^\]]*\] (?:\([^)]*\) )?(.+)$"),
    // go test
    Pattern::new(r"^\s*--- FAIL: (\S+)(?: \([\d.]+s\))?$"),
    Pattern::new(r"^FAIL\s+(\S+ \[(?:build|setup) failed\])$"),
    // node: TAP, spec
    Pattern::new(r"^\s*not ok \d+ - (.*?)(?:\s+# .*)?$"),
    Pattern::new(r"^\s*✖ (.+?) \([\d.]+ms\)$"),
    // jest, vitest
    Pattern::new(r"^  ● (.+)$"),
    Pattern::new(r"^\s*(?:FAIL|×|❯ FAIL)\s+(\S+ > .+)$"),
    // maven
    Pattern::new(r"^\[ERROR\] (\S+?)(?: --)? +Time elapsed: .*<<< (?:FAILURE|ERROR)!.*$"),
    // gradle
    Pattern::new(r"^(\S.* > .*) FAILED$"),
    // deno, bun
    Pattern::new(r"^(\S.*?) \.\.\. FAILED \(.*\)$"),
    Pattern::new(r"^\s*(?:\(fail\)|✗) (.+?)(?: \[[\d.]+m?s\])?$"),
    // ctest
    Pattern::new(r"^\s*\d+ - (\S+) \((?:Failed|Timeout|SEGFAULT|Not Run)\)$"),
];

/// The names of failing tests that the output lists (bounded).
pub fn failing_ids(output: &str) -> Vec<String> {
    let text = plain(output);
    let mut ids = Ids::default();
    let mut mocha = Mocha::Before;
    for line in text.lines() {
        let line = line.trim_end();
        if line.starts_with('{') {
            go_event(line, &mut ids);
        }
        mocha = mocha.step(line, &mut ids);
        if let Some(found) = FORMS.iter().find_map(|form| form.first(line)) {
            ids.push(found.get(1).map_or("", |m| m.as_str()));
        }
        if ids.list.len() >= MAX_IDS {
            break;
        }
    }
    ids.list
}

#[derive(Default)]
struct Ids {
    list: Vec<String>,
    seen: HashSet<String>,
}

impl Ids {
    fn push(&mut self, name: &str) {
        let name = one_line(name, MAX_ID_CHARS);
        if !name.is_empty() && self.list.len() < MAX_IDS && self.seen.insert(name.clone()) {
            self.list.push(name);
        }
    }
}

/// A failed test in the output of `go test -json`.
fn go_event(line: &str, ids: &mut Ids) {
    let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else {
        return;
    };
    if event["Action"] == "fail"
        && let (Some(package), Some(test)) = (event["Package"].as_str(), event["Test"].as_str())
    {
        ids.push(&format!("{package}.{test}"));
    }
}

/// Mocha numbers its failures after the line `N failing`; a name may take several lines, up to a colon.
enum Mocha {
    Before,
    Listing,
    Name(String),
}

impl Mocha {
    fn step(self, line: &str, ids: &mut Ids) -> Self {
        static FAILING: Pattern = Pattern::new(r"^\s+\d+ failing$");
        static NUMBERED: Pattern = Pattern::new(r"^\s+\d+\) (.+)$");
        match self {
            Self::Before if FAILING.is_match(line) => Self::Listing,
            Self::Before => Self::Before,
            Self::Listing => match NUMBERED.first(line) {
                Some(found) => Self::named(found.get(1).map_or("", |m| m.as_str()).to_owned(), ids),
                None => Self::Listing,
            },
            Self::Name(_) if line.trim().is_empty() => Self::Listing,
            Self::Name(name) => Self::named(format!("{name} {}", line.trim()), ids),
        }
    }

    fn named(name: String, ids: &mut Ids) -> Self {
        match name.strip_suffix(':') {
            Some(whole) => {
                ids.push(whole);
                Self::Listing
            }
            None => Self::Name(name),
        }
    }
}
