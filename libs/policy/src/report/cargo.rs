//! What `cargo test` prints: libtest's lines, below the name of each test program.
//!
//! Invariant: an id begins with the program, without the hash of its build; a documentation test has no line number.

use super::{Found, Outcome, seconds};
use crate::text::{Pattern, number};

/// Reads one output.
pub(super) fn read(text: &str, found: &mut Found) {
    static PROGRAM: Pattern =
        Pattern::new(r"^\s+Running .*\((?:.*/)?([^/()]+?)(?:-[0-9a-f]{8,})?(?:\.exe)?\)$");
    static DOCS: Pattern = Pattern::new(r"^\s+Doc-tests (\S+)$");
    static STARTS: Pattern = Pattern::new(r"^running \d+ tests?$");
    static ENDS: Pattern =
        Pattern::new(r"^test result: \w+\. (\d+) passed; (\d+) failed; \d+ ignored;");
    static TEST: Pattern = Pattern::new(
        r"^test (\S.*?)(?: - should panic)? \.\.\. .*?(ok|FAILED|ignored(?:, .*)?)(?: <([\d.]+)s>)?$",
    );
    static STDOUT: Pattern = Pattern::new(r"^---- (\S.*?) stdout ----$");
    static PANIC: Pattern = Pattern::new(r"^thread '.*' (?:\(\d+\) )?panicked at ");
    let mut program = String::new();
    let mut open = 0_i64;
    let (mut told, mut next): (Option<String>, bool) = (None, false);
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(c) = PROGRAM.first(line) {
            c[1].clone_into(&mut program);
        } else if let Some(c) = DOCS.first(line) {
            program = format!("{}::doc", &c[1]);
        } else if STARTS.is_match(line) {
            open += 1;
        } else if let Some(c) = ENDS.first(line) {
            open -= 1;
            found.count(number(&c, 1).saturating_add(number(&c, 2)));
        } else if let Some(c) = TEST.first(line) {
            let outcome = match &c[2] {
                "ok" => Outcome::Passed,
                "FAILED" => Outcome::Failed,
                _ => Outcome::Skipped,
            };
            let millis = c.get(3).and_then(|m| seconds(m.as_str()));
            found.add(&id(&program, &c[1]), outcome, millis, "");
        } else if line.starts_with("error: test failed, to rerun pass") {
            // The programs after this one did not run.
            found.left_out = true;
        } else if let Some(c) = STDOUT.first(line) {
            told = Some(id(&program, &c[1]));
        } else if next {
            if let Some(id) = told.take() {
                found.explain(&id, line);
            }
            next = false;
        } else if told.is_some() && PANIC.is_match(line) {
            next = true;
        }
    }
    if open > 0 {
        found.fault("a test program starts and does not end");
    }
}

fn id(program: &str, name: &str) -> String {
    static LINE: Pattern = Pattern::new(r" \(line \d+\)");
    let name = LINE.replace_all(name, "");
    if program.is_empty() {
        name.into_owned()
    } else {
        format!("{program}::{name}")
    }
}
