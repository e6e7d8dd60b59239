//! Commands, flags, variables, RPCs, codes and paths that a page names exist.

use std::{collections::BTreeSet, sync::LazyLock};

use autopack_domain::plan::category::{CATEGORIES, CategoryDefaults, category};
use regex::Regex;

use super::{cli, page};
use crate::repo;

/// Sources in which a variable or code can be defined.
static SOURCES: LazyLock<String> = LazyLock::new(|| {
    let mut files = repo::files(
        &[
            "libs",
            "services",
            "migrations",
            "proto",
            "scripts",
            "examples",
        ],
        &[".rs", ".toml", ".proto", ".sql", ".sh"],
    );
    files.extend(repo::files(
        &[".ci/run", "Makefile", "docker/alerts.yaml"],
        &[""],
    ));
    // The generated and derived variables of tests are no features.
    files.retain(|file| !file.path.contains("/tests/"));
    files.into_iter().map(|file| file.text).collect()
});

/// Every name with letters, digits and underscores in the sources.
static WORDS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    SOURCES
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect()
});

/// All faults of all pages at once.
fn check(kind: &str, fault: impl Fn(&page::Page) -> Vec<(usize, String)>) {
    let mut found = Vec::new();
    for page in page::all() {
        for (line, text) in fault(&page) {
            found.push(format!("{}:{line}: {text}", page.path));
        }
    }
    assert!(found.is_empty(), "{kind}:\n{}", found.join("\n"));
}

#[test]
fn commands_and_flags_exist() {
    check("commands and flags that do not exist", |page| {
        let mut faults = Vec::new();
        for (line, text) in page.spans().into_iter().chain(page.commands()) {
            // One line may hold several commands.
            for command in text.split(['|', ';', '&']).map(str::trim) {
                if command == "autopack" || command.starts_with("autopack ") {
                    faults.extend(cli::fault(command).map(|fault| (line, fault)));
                } else if command.starts_with("--") {
                    let unknown = cli::flags_in(command).find(|flag| !cli::has_flag(flag));
                    faults.extend(unknown.map(|flag| (line, format!("no command has {flag}"))));
                }
            }
        }
        faults
    });
}

#[test]
fn make_targets_exist() {
    let makefile = repo::read("Makefile");
    check("make targets that do not exist", |page| {
        let texts = page.spans().into_iter().chain(page.commands());
        texts
            .filter_map(|(line, text)| {
                let target = text.strip_prefix("make ")?.split_whitespace().next()?;
                let known = makefile.contains(&format!("\n{target}: "));
                (!known).then(|| (line, format!("make {target}")))
            })
            .collect()
    });
}

#[test]
fn variables_exist() {
    let variable = Regex::new(r"\bAUTOPACK_[A-Z0-9_]+\b").expect("pattern");
    check("variables that nothing reads", |page| {
        let blocks = page.blocks.iter().map(|block| (block.line, &block.text));
        let prose = page.prose.iter().map(|(line, text)| (*line, text));
        prose
            .chain(blocks)
            .flat_map(|(line, text)| {
                variable
                    .find_iter(text)
                    .filter(|hit| !WORDS.contains(hit.as_str()))
                    .map(move |hit| (line, hit.as_str().to_owned()))
                    .collect::<Vec<_>>()
            })
            .collect()
    });
}

/// A variable that product code reads and no page names is a secret of the source.
#[test]
fn variables_of_the_program_are_documented() {
    let literal = Regex::new(r#""(AUTOPACK_[A-Z0-9_]+)""#).expect("pattern");
    let reference = repo::read("docs/operations.md");
    let mut missing = BTreeSet::new();
    for source in repo::rust().iter().filter(|source| source.is_product()) {
        // The bus names its streams alike.
        if source.crate_folder() == "libs/bus" {
            continue;
        }
        for hit in literal.captures_iter(&source.text) {
            if !reference.contains(&format!("`{}", &hit[1])) {
                missing.insert(hit[1].to_owned());
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not in docs/operations.md: {missing:#?}"
    );
}

/// Codes, states and variables in upper case; RPCs, services and types in camel case.
#[test]
fn codes_rpcs_and_types_exist() {
    let upper = Regex::new(r"^[A-Z][A-Z0-9_]{3,}$").expect("pattern");
    let camel = Regex::new(r"^([A-Z][a-z]+){2,}$").expect("pattern");
    check("names that the sources do not have", |page| {
        page.spans()
            .into_iter()
            .flat_map(|(line, span)| {
                let parts = span.split(['/', ':', '.', ' ']).map(str::to_owned);
                let whole = upper.is_match(&span) || !span.contains(' ');
                let parts: Vec<String> = parts.filter(|_| whole).collect();
                parts.into_iter().map(move |part| (line, part))
            })
            .filter(|(_, name)| upper.is_match(name) || camel.is_match(name))
            .filter(|(_, name)| !WORDS.contains(name.as_str()))
            .filter(|(_, name)| !["HEAD", "LICENSE", "README"].contains(&name.as_str()))
            .collect()
    });
}

#[test]
fn paths_exist() {
    let tops = [
        "libs/",
        "services/",
        "migrations/",
        "tests/",
        "docs/",
        "scripts/",
        "proto/",
        "examples/",
        "fuzz/",
        ".ci/",
        ".github/",
    ];
    check("paths that do not exist", |page| {
        page.spans()
            .into_iter()
            .filter(|(_, span)| tops.iter().any(|top| span.starts_with(top)))
            .filter(|(_, span)| !span.contains(['*', '<', ' ', '{']))
            .filter(|(_, span)| !repo::root().join(span).exists())
            .collect()
    });
}

/// Every key of the plan reader stands in the plan's reference.
#[test]
fn every_key_of_a_plan_is_documented() {
    let list = Regex::new(r"v1: &\[([^\]]*)\]").expect("pattern");
    let key = Regex::new(r#""(\w+)""#).expect("pattern");
    let reference = repo::read("docs/plan.md");
    let mut missing = BTreeSet::new();
    for source in repo::files(&["libs/domain/src/plan"], &[".rs"]) {
        for keys in list.captures_iter(&source.text) {
            for key in key.captures_iter(&keys[1]) {
                if !reference.contains(&format!("`{}`", &key[1])) {
                    missing.insert(format!("{} ({})", &key[1], source.path));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/plan.md: {missing:#?}");
}

/// Pages that error messages and comments point to.
#[test]
fn pages_that_the_sources_name_exist() {
    let page = Regex::new(r"\bdocs/[a-z0-9_/-]+\.md\b").expect("pattern");
    let mut missing = BTreeSet::new();
    for source in repo::rust().iter().filter(|source| source.is_product()) {
        for hit in page.find_iter(&source.text) {
            if !repo::root().join(hit.as_str()).exists() {
                missing.insert(format!("{}: {}", source.path, hit.as_str()));
            }
        }
    }
    assert!(missing.is_empty(), "pages that do not exist: {missing:#?}");
}

/// The table of categories in the plan's reference is the one of the code.
#[test]
fn the_table_of_categories_is_the_one_of_the_code() {
    let reference = repo::read("docs/plan.md");
    let row = |text: &str, defaults: &CategoryDefaults| {
        let tokens = defaults.incident_token_cap.to_string();
        let (tokens, complexity, profile) =
            (grouped(&tokens), defaults.complexity, defaults.gate_profile);
        let attempts = defaults.max_builder_attempts;
        format!("\n| {text} | {complexity} | {profile} | {attempts} | {tokens} |\n")
    };
    let mut rows = vec![row("every other", category(""))];
    rows.extend(CATEGORIES.iter().map(|c| row(&format!("`{}`", c.name), c)));
    for row in &rows {
        assert!(reference.contains(row), "docs/plan.md has no line {row}");
    }
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
