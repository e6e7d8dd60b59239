//! Programs on the worker: where they are, and which one a shell line starts.
//!
//! Invariant: nothing is started here; a line that only a shell can understand names no program.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Words that a POSIX shell does not look up on `PATH`.
const BUILTINS: &[&str] = &[
    "!", ".", ":", "[", "alias", "break", "case", "cd", "command", "continue", "echo", "eval",
    "exec", "exit", "export", "false", "fg", "for", "getopts", "hash", "if", "jobs", "kill",
    "local", "printf", "pwd", "read", "readonly", "return", "set", "shift", "source", "test",
    "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "until", "wait",
    "while", "{",
];

/// Words that start the program that follows them.
const PREFIXES: &[&str] = &["command", "env", "exec", "nice", "nohup", "time"];

/// Characters that make a word something else than a plain name.
const SPECIAL: &[char] = &[
    '$', '`', '"', '\'', '\\', '*', '?', '[', '(', ')', '<', '>', '|', '&', ';', '~', '#', '{', '}',
];

/// The program's file, looked up in `path` unless the name has a slash.
pub(crate) fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|file| is_program(file));
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    std::fs::metadata(file)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The program that a shell line starts first, if that is a plain word and no builtin.
pub(crate) fn first_program(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    loop {
        let word = words.next()?;
        let name = word.split('=').next().unwrap_or_default();
        let assigns = word.contains('=')
            && !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if assigns || PREFIXES.contains(&word) {
            continue;
        }
        let plain = !word.contains(SPECIAL) && !word.starts_with('-');
        return Some(word).filter(|word| plain && !BUILTINS.contains(word));
    }
}

/// What a shell line needs and neither `path` nor the tree below `dir` has. `is_in_tree` answers for paths from the
/// tree's root.
pub(crate) fn missing<'a>(
    line: &'a str,
    dir: &str,
    path: &OsStr,
    is_in_tree: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let program = first_program(line)?;
    if !program.contains('/') {
        return find(program, path).is_none().then_some(program);
    }
    if program.starts_with('/') {
        return find(program, path).is_none().then_some(program);
    }
    let relative = program.trim_start_matches("./");
    let whole = if dir.is_empty() {
        relative.to_owned()
    } else {
        format!("{}/{relative}", dir.trim_end_matches('/'))
    };
    // A path with `..`, or one that a set-up makes, cannot be judged.
    let judged = !relative.contains("..") && !relative.starts_with('.');
    (judged && !is_in_tree(&whole)).then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_of_a_line() {
        for (line, program) in [
            ("cargo test --locked", Some("cargo")),
            ("RUST_LOG=x FOO= cargo test", Some("cargo")),
            (
                "exec ./agent --goal \"$AUTOPACK_GOAL_FILE\"",
                Some("./agent"),
            ),
            ("env A=b python3 x.py", Some("python3")),
            ("cd sub && make", None),
            ("if true; then x; fi", None),
            ("\"$HOME/x\" y", None),
            ("( a; b )", None),
            ("", None),
        ] {
            assert_eq!(first_program(line), program, "{line}");
        }
    }

    #[test]
    fn a_program_is_looked_for_on_path_or_in_the_tree() {
        let path = OsStr::new("/usr/bin:/bin");
        let tree = |name: &str| name == "scripts/test.sh" || name == "web/run";
        assert_eq!(missing("sh -c x", "", path, tree), None);
        assert_eq!(
            missing("no-such-tool x", "", path, tree),
            Some("no-such-tool")
        );
        assert_eq!(missing("./scripts/test.sh", "", path, tree), None);
        assert_eq!(missing("./run", "web", path, tree), None);
        assert_eq!(missing("./run", "", path, tree), Some("./run"));
        assert_eq!(missing(".venv/bin/python -m pytest", "", path, tree), None);
        assert_eq!(
            missing("/no/such/file", "", path, tree),
            Some("/no/such/file")
        );
    }
}
