//! Tests that stay and no longer assert anything, found in the text of a changed file.
//!
//! Invariant: a test counts as emptied only if its body on the base held an assertion and the one of the result, under
//! the same name in the same file, holds none. Reading is by lines and may miss one; it invents none.
//!
//! Limits: an assertion in a helper is not seen, so a test whose assertions move into one has to be declared.

use std::collections::BTreeMap;

use crate::text::Pattern;

/// Longest file that is looked at, in bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// How a language begins a test, and how it asserts.
struct Language {
    endings: &'static [&'static str],
    /// Group 1 is the test's name.
    test: Pattern,
    asserts: Pattern,
    comment: &'static str,
}

static LANGUAGES: [Language; 5] = [
    Language {
        endings: &[".py"],
        test: Pattern::new(r"^\s*(?:async\s+)?def (test\w*)\s*\("),
        asserts: Pattern::new(
            r"^\s*assert\b|\.assert\w+\(|\braises\(|\bfail\(|\bwarns\(|\bassert_\w+\(",
        ),
        comment: "#",
    },
    Language {
        endings: &[".rs"],
        test: Pattern::new(r"^\s*(?:pub\s+)?(?:async\s+)?fn (\w+)\s*\("),
        asserts: Pattern::new(
            r"\b\w*assert\w*!|\bpanic!|\.unwrap\(\)|\.expect\(|\.unwrap_err\(|\?;",
        ),
        comment: "//",
    },
    Language {
        endings: &["_test.go"],
        test: Pattern::new(r"^func (Test\w*)\("),
        asserts: Pattern::new(
            r"\b[tb]\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\(|\b(?:assert|require|is)\.\w+\(",
        ),
        comment: "//",
    },
    Language {
        endings: &[".js", ".ts", ".jsx", ".tsx", ".mjs", ".cjs", ".mts", ".cts"],
        test: Pattern::new(r#"^\s*(?:it|test)(?:\.\w+)*\(\s*['"`]([^'"`]+)['"`]"#),
        asserts: Pattern::new(r"\bexpect\(|\bassert\b|\bt\.\w+\(|\bshould\b|\bthrow\b"),
        comment: "//",
    },
    Language {
        endings: &[".java", ".kt"],
        test: Pattern::new(r"^\s*(?:public\s+|internal\s+)?(?:void|fun)\s+`?([\w ]+?)`?\s*\("),
        asserts: Pattern::new(r"\bassert\w*\(|\bfail\(|\bverify\(|\bexpect\w*\("),
        comment: "//",
    },
];

/// The names of tests of a file that asserted something before and do not any more.
pub fn emptied(path: &str, before: &str, after: &str) -> Vec<String> {
    let language = LANGUAGES
        .iter()
        .find(|language| language.endings.iter().any(|ending| path.ends_with(ending)));
    let Some(language) = language else {
        return Vec::new();
    };
    if before.len() > MAX_FILE || after.len() > MAX_FILE {
        return Vec::new();
    }
    let (before, after) = (assertions(language, before), assertions(language, after));
    before
        .into_iter()
        .filter(|(name, asserted)| *asserted > 0 && after.get(name) == Some(&0))
        .map(|(name, _)| name)
        .collect()
}

/// Assertions by test; of two tests with one name the sum.
fn assertions(language: &Language, text: &str) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with(language.comment) {
            continue;
        }
        let start = language.test.first(line).map(|c| c[1].to_owned());
        if let Some(name) = start {
            found.entry(name.clone()).or_default();
            current = Some(name);
        }
        let asserted = language.asserts.find_all(line).count();
        if let Some(name) = &current
            && asserted > 0
        {
            *found.entry(name.clone()).or_default() += asserted;
        }
    }
    found
}
