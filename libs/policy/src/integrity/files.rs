//! Which files hold tests, by their names.
//!
//! Invariant: a file that holds tests beside the code that they test is no test file: it is both.

use crate::text::Pattern;

/// Whether the path is that of a file with tests only, or of what tests read.
pub fn is_test_file(path: &str) -> bool {
    static NAME: Pattern = Pattern::new(
        r"(?x) (?:^|/) (?: test_[^/]*\.py | [^/]*_test\.(?:py|go|rb|ts|js) | tests?\.(?:py|rs)
            | [^/]*\.(?:test|spec)\.[cm]?[jt]sx? | [^/]*(?:Test|Tests|IT|Spec)\.(?:java|kt|groovy|scala)
            | [^/]*\.(?:bats|t) ) $",
    );
    static FOLDER: Pattern =
        Pattern::new(r"(?:^|/)(?:tests?|__tests__|spec|testdata|fixtures|src/test)/");
    NAME.is_match(path) || FOLDER.is_match(path)
}

#[cfg(test)]
mod tests {
    use super::is_test_file;

    #[test]
    fn names_and_folders_tell() {
        for path in [
            "tests/test_a.py",
            "test_a.py",
            "pkg/a_test.go",
            "src/a.test.ts",
            "a.spec.jsx",
            "tests/it/main.rs",
            "src/tests.rs",
            "src/test/java/demo/A.java",
            "app/ATest.java",
            "t/basic.t",
            "tests/data/in.json",
        ] {
            assert!(is_test_file(path), "{path}");
        }
        for path in [
            "src/lib.rs",
            "app/core.py",
            "contest.py",
            "src/latest.ts",
            "a.go",
        ] {
            assert!(!is_test_file(path), "{path}");
        }
    }
}
