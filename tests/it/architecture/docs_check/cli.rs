//! The built command line's own help: which commands and flags exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::LazyLock,
};

use regex::Regex;

use crate::repo;

/// Help texts by command path: `""`, `"run"`, `"plan validate"`.
static HELP: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let mut texts = BTreeMap::new();
    collect(&mut texts, String::new());
    texts
});

fn collect(texts: &mut BTreeMap<String, String>, path: String) {
    let output = Command::new(repo::autopack())
        .args(path.split_whitespace())
        .arg("--help")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "200")
        .output()
        .expect("the command line starts");
    assert!(output.status.success(), "`autopack {path} --help` fails");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let below: Vec<String> = commands(&text);
    texts.insert(path.clone(), text);
    for name in below.into_iter().filter(|name| name != "help") {
        collect(texts, format!("{path} {name}").trim().to_owned());
    }
}

/// Names in the section `Commands:` of a help text.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| line.trim() != "Commands:")
        .skip(1)
        .take_while(|line| !line.trim().is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// What is wrong with a command line that documentation shows; the first word is `autopack`.
pub(super) fn fault(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut path = String::new();
    let mut rest = &words[1..];
    while let Some((word, after)) = rest.split_first() {
        let longer = format!("{path} {word}").trim().to_owned();
        if !HELP.contains_key(&longer) {
            break;
        }
        path = longer;
        rest = after;
    }
    let has_commands = HELP.keys().any(|key| !key.is_empty() && !key.contains(' '));
    if path.is_empty() && has_commands {
        let word = rest.first().copied().unwrap_or_default();
        if word.chars().next().is_some_and(|c| c.is_ascii_lowercase()) {
            return Some(format!("`autopack {word}` does not exist"));
        }
    }
    let known = flags(&[HELP.get(&path), HELP.get("")]);
    let unknown = flags_in(line).find(|flag| !known.contains(flag))?;
    Some(format!("`autopack {path}` has no {unknown}"))
}

/// Whether any command has the flag.
pub(super) fn has_flag(flag: &str) -> bool {
    let texts: Vec<Option<&String>> = HELP.values().map(Some).collect();
    flags(&texts).contains(flag)
}

fn flags(texts: &[Option<&String>]) -> BTreeSet<String> {
    texts
        .iter()
        .flatten()
        .flat_map(|text| flags_in(text).collect::<Vec<_>>())
        .collect()
}

/// Long flags in a text.
pub(super) fn flags_in(text: &str) -> impl Iterator<Item = String> + '_ {
    static FLAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:^|[\s\[<,|=(])(--[a-z][a-z0-9-]*)").expect("pattern"));
    FLAG.captures_iter(text).map(|hit| hit[1].to_owned())
}

#[test]
fn the_command_line_lists_its_commands() {
    for name in ["run", "plan validate", "plan explain", "explain"] {
        assert!(HELP.contains_key(name), "`autopack {name}` does not exist");
    }
    assert_eq!(fault("autopack plan validate PLAN --repo DIR"), None);
    assert!(fault("autopack frobnicate").is_some());
    assert!(fault("autopack plan validate PLAN --frobnicate").is_some());
}
