//! Paths and globs of a plan: relative to the repository, in one spelling.
//!
//! Invariant: a path that [`normal`] returns is relative, has no `.`, `..`, empty or `.git` component and
//! no control character, and separates by `/` only.

/// Longest path, in bytes.
pub(super) const MAX_PATH: usize = 1024;
/// Longest component, in bytes; what file systems allow.
const MAX_COMPONENT: usize = 255;

/// The path in its one spelling, or what is wrong with it. A trailing `/` is kept.
pub(super) fn normal(path: &str) -> Result<String, String> {
    if path.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if path.len() > MAX_PATH {
        return Err(format!("is {} bytes long; at most {MAX_PATH}", path.len()));
    }
    if path.trim() != path {
        return Err("starts or ends with white space".to_owned());
    }
    if let Some(c) = path.chars().find(|c| c.is_control()) {
        return Err(format!(
            "contains the control character U+{:04X}",
            u32::from(c)
        ));
    }
    if path.contains('\\') {
        return Err("contains `\\`; the separator is `/`".to_owned());
    }
    let bytes = path.as_bytes();
    let drive = bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    if path.starts_with('/') || drive {
        return Err("is absolute; paths are relative to the repository".to_owned());
    }
    if path == "~" || path.starts_with("~/") {
        return Err(
            "starts with `~`, which is not expanded; paths are relative to the repository"
                .to_owned(),
        );
    }
    let mut parts = Vec::new();
    for part in path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if part == ".." {
            return Err("contains `..`; paths stay inside the repository".to_owned());
        }
        if is_git(part) {
            return Err("is inside `.git`, which no phase may name".to_owned());
        }
        if part.len() > MAX_COMPONENT {
            return Err(format!("has a component longer than {MAX_COMPONENT} bytes"));
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return Err("is the repository itself; leave `scope.paths` out, or write `**`".to_owned());
    }
    let slash = if path.ends_with('/') || path.ends_with("/.") {
        "/"
    } else {
        ""
    };
    let joined = format!("{}{slash}", parts.join("/"));
    // `./~/a` and `./C:/a` are looked at again without their prefix.
    if joined == path {
        Ok(joined)
    } else {
        normal(&joined)
    }
}

/// Whether some file system takes this component for `.git`.
fn is_git(part: &str) -> bool {
    let name = part.trim_end_matches(['.', ' ']);
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
}

/// Whether the path is a pattern rather than a file or a folder.
pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

/// What is wrong with a pattern, if anything.
pub(super) fn glob_fault(pattern: &str) -> Option<&'static str> {
    let (mut class, mut braces, mut class_empty) = (false, 0_u32, false);
    for c in pattern.chars() {
        match (c, class) {
            ('[', false) => (class, class_empty) = (true, true),
            // `[]a]` and `[!]a]` hold a bracket; `[]` alone never ends.
            (']', true) if !class_empty => class = false,
            ('!' | '^', true) if class_empty => {}
            ('/', true) => return Some("has a `/` inside `[...]`"),
            (_, true) => class_empty = false,
            (']', false) => return Some("has a `]` without its `[`"),
            ('{', false) if braces > 0 => return Some("has `{...}` inside `{...}`"),
            ('{', false) => braces += 1,
            ('}', false) => match braces.checked_sub(1) {
                Some(left) => braces = left,
                None => return Some("has a `}` without its `{`"),
            },
            _ => {}
        }
    }
    if class {
        return Some("has a `[` without its `]`");
    }
    if braces > 0 {
        return Some("has a `{` without its `}`");
    }
    let stars = pattern
        .split('/')
        .any(|part| part.contains("**") && part != "**");
    stars.then_some("has `**` next to other text; `**` stands alone between slashes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_get_one_spelling() {
        for (written, normal_form) in [
            ("a", "a"),
            ("./a//b/./c", "a/b/c"),
            ("src/", "src/"),
            ("src//", "src/"),
            ("a/.", "a/"),
            ("**", "**"),
            (".gitignore", ".gitignore"),
            (".github/workflows/", ".github/workflows/"),
            ("a b/ä.rs", "a b/ä.rs"),
            ("~a", "~a"),
        ] {
            assert_eq!(normal(written).as_deref(), Ok(normal_form));
        }
    }

    #[test]
    fn paths_that_leave_the_repository_or_enter_git_are_refused() {
        for bad in [
            "",
            " ",
            " a",
            "a ",
            "/a",
            "//a",
            "C:/a",
            "c:a",
            "a\\b",
            "..",
            "../a",
            "a/../b",
            "a/..",
            ".",
            "./",
            ".git",
            ".GIT/config",
            "a/.git/hooks",
            ".git./x",
            ".git /x",
            "GIT~1/config",
            ".git::$INDEX_ALLOCATION/x",
            "a\0b",
            "a\nb",
            "~/a",
            "~",
            &"a".repeat(2000),
            &"a".repeat(300),
        ] {
            assert!(normal(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns_are_checked_for_their_brackets() {
        for good in [
            "**",
            "src/**",
            "**/*.rs",
            "a/[a-z]?.{rs,toml}",
            "[]a]",
            "[!]]x",
            "a/**/b",
            "plain",
            "x}y".trim_end_matches("}y"),
        ] {
            assert_eq!(glob_fault(good), None, "{good}");
        }
        for bad in [
            "[",
            "a]",
            "{a",
            "a}",
            "[]",
            "[!]",
            "{a,{b,c}}",
            "a**",
            "src/**.rs",
            "[a/b]",
            "***",
        ] {
            assert!(glob_fault(bad).is_some(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn normalising_is_idempotent(path in "[a-z./*\\\\~: \\[\\]{}]{0,20}") {
            if let Ok(once) = normal(&path) {
                proptest::prop_assert_eq!(normal(&once), Ok(once.clone()));
                proptest::prop_assert!(!once.split('/').any(|part| part == ".." || part == "."));
            }
            let _ = glob_fault(&path);
        }
    }
}
