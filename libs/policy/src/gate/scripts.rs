//! Which files of the tree a gate's steps run: whoever may change them decides the gate (DESIGN rule 4).
//!
//! Invariant: reading a command line too widely protects a file too many; a test file handed to a
//! runner is not a script, since phases are meant to write tests.

use std::collections::BTreeSet;

use autopack_domain::plan::StepSpec;

use crate::text::Pattern;

const INTERPRETERS: &[&str] = &[
    "sh", "bash", "dash", "zsh", "ksh", "source", ".", "python", "python3", "node", "ruby", "perl",
    "php", "deno", "bun", "tsx", "pwsh",
];
const WRAPPERS: &[&str] = &[
    "env", "exec", "time", "timeout", "nice", "sudo", "xvfb-run", "command", "uv", "poetry", "run",
];

/// The files of the tree that the steps run as programs or scripts.
pub fn of_steps(steps: &[StepSpec], tree_paths: &[String]) -> BTreeSet<String> {
    if steps.is_empty() {
        return BTreeSet::new();
    }
    let tree: BTreeSet<&str> = tree_paths.iter().map(String::as_str).collect();
    let mut found = BTreeSet::new();
    for step in steps {
        for command in step.run.split(['\n', ';', '&', '|', '(', ')', '`']) {
            for word in programs(command) {
                if let Some(path) = resolve(&step.dir, word)
                    && tree.contains(path.as_str())
                {
                    found.insert(path);
                }
            }
        }
    }
    found
}

/// The words of a simple command that are run: the program, and what an interpreter is given.
fn programs(command: &str) -> Vec<&str> {
    let mut run = Vec::new();
    let mut interprets = false;
    for raw in command.split_whitespace() {
        let word = raw.trim_matches(['"', '\'']);
        let base = word.rsplit('/').next().unwrap_or(word);
        if interprets {
            if word == "-m" || word == "-c" || word == "-e" {
                break;
            }
            if word.starts_with('-') || word == "run" {
                continue;
            }
            if !is_test_file(word) {
                run.push(word);
            }
            break;
        }
        let assigns = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        let number = word
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 's' | 'm' | 'h'));
        if assigns || word.starts_with('-') || (number && word != ".") || WRAPPERS.contains(&base) {
            continue;
        }
        if INTERPRETERS.contains(&base) {
            interprets = true;
            continue;
        }
        run.push(word);
        break;
    }
    run
}

fn is_test_file(word: &str) -> bool {
    static TEST: Pattern =
        Pattern::new(r"(?i)(^|/)(test_[^/]*|[^/]*_test\.\w+|[^/]*\.(test|spec)\.\w+)$");
    TEST.is_match(word)
}

/// The path of a word below the step's folder, `./` and `..` resolved; `None` outside the root.
fn resolve(dir: &str, word: &str) -> Option<String> {
    if word.starts_with('/') {
        return None;
    }
    let mut at: Vec<&str> = Vec::new();
    for part in dir.split('/').chain(word.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                at.pop()?;
            }
            name => at.push(name),
        }
    }
    (!at.is_empty()).then(|| at.join("/"))
}
