//! What a source file declares, and what of that a change takes away.
//!
//! Invariant: a declaration that moves inside the change is not lost; a language that is not known declares nothing.

use std::collections::BTreeSet;

use super::diff::FileDiff;
use crate::text::Pattern;

/// Fewer lost declarations than this are not asked about.
pub const FEW: usize = 3;
/// Share of a file's declarations, in percent, from which on their loss is told.
pub const SHARE: usize = 30;

static PYTHON: Pattern = Pattern::new(r"(?m)^(?:async\s+)?(?:def|class)\s+(\w+)");
static RUST: Pattern = Pattern::new(
    r"(?m)^(?:pub(?:\([^)]*\))?\s+)?(?:async\s+|unsafe\s+|const\s+)*(?:fn|struct|enum|trait|type|static|const|mod|macro_rules!)\s+(\w+)",
);
static SCRIPT: Pattern = Pattern::new(
    r"(?m)^(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:function\*?|class|const|let|var|interface|type|enum)\s+(\w+)",
);
static GO: Pattern = Pattern::new(r"(?m)^(?:func(?:\s+\([^)]*\))?|type|var|const)\s+(\w+)");
static JAVA: Pattern = Pattern::new(
    r"(?m)^\s{0,4}(?:public|protected|private|static|final|abstract|\s)*(?:class|interface|enum|record)\s+(\w+)",
);

/// Declarations that one file loses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The file.
    pub path: String,
    /// How many it declared before.
    pub had: usize,
    /// Names of those that are gone.
    pub lost: Vec<String>,
}

impl Loss {
    /// Whether so much is gone that a person should look.
    pub fn is_large(&self) -> bool {
        self.lost.len() >= FEW && self.lost.len() * 100 > self.had * SHARE
    }
}

/// The top-level names that a text of this path declares.
pub fn declared(path: &str, text: &str) -> BTreeSet<String> {
    let Some(pattern) = pattern(path) else {
        return BTreeSet::new();
    };
    let names = pattern
        .find_all(text)
        .filter_map(|found| Some(found.get(1)?.as_str().to_owned()));
    names.collect()
}

/// Names that the change takes away from each file and that no file of it declares anew; files that lose none are left
/// out.
pub fn lost(files: &[FileDiff]) -> Vec<(&FileDiff, Vec<String>)> {
    let mut kept = BTreeSet::new();
    for file in files {
        let added: Vec<&str> = file.added.iter().map(|(_, text)| text.as_str()).collect();
        kept.extend(declared(&file.path, &added.join("\n")));
    }
    let mut all = Vec::new();
    for file in files {
        let removed = declared(&file.path, &file.removed.join("\n"));
        let lost: Vec<String> = removed.difference(&kept).cloned().collect();
        if !lost.is_empty() {
            all.push((file, lost));
        }
    }
    all
}

fn pattern(path: &str) -> Option<&'static Pattern> {
    let (_, suffix) = path.rsplit_once('.')?;
    match suffix {
        "py" | "pyi" => Some(&PYTHON),
        "rs" => Some(&RUST),
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" => Some(&SCRIPT),
        "go" => Some(&GO),
        "java" | "kt" => Some(&JAVA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::govern::diff;

    #[test]
    fn each_language_declares() {
        for (path, text, names) in [
            (
                "a.py",
                "def one():\n    def inner(): pass\nclass Two: pass\nasync def three(): pass\n",
                "Two one three",
            ),
            (
                "a.rs",
                "pub fn one() {}\nstruct Two;\n    fn method() {}\npub(crate) const THREE: u8 = 1;\n",
                "THREE Two one",
            ),
            (
                "a.ts",
                "export function one() {}\nexport const two = 1\nclass Three {}\n",
                "Three one two",
            ),
            (
                "a.go",
                "func One() {}\nfunc (t T) Two() {}\ntype Three int\n",
                "One Three Two",
            ),
            ("A.java", "public final class One {\n}\n", "One"),
            ("a.txt", "def one():\n", ""),
        ] {
            let found: Vec<String> = declared(path, text).into_iter().collect();
            assert_eq!(found.join(" "), names, "{path}");
        }
    }

    #[test]
    fn what_moves_is_not_lost() {
        let text = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,1 @@\n-def one():\n-def two():\n-def three():\n+x = 1\n\
                    diff --git a/b.py b/b.py\n--- /dev/null\n+++ b/b.py\n@@ -0,0 +1,1 @@\n+def two():\n";
        let files = diff::read(text);
        let found = lost(&files);
        assert_eq!(
            (found.len(), found[0].1.join(" ")),
            (1, "one three".to_owned())
        );
        let loss = |lost: usize, had| Loss {
            path: "a.py".into(),
            had,
            lost: vec!["x".into(); lost],
        };
        assert!(loss(3, 9).is_large() && !loss(3, 10).is_large() && !loss(2, 2).is_large());
    }
}
