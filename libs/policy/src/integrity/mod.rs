//! Tests of a result against the tests of its base: whether a change has weakened what proves it.
//!
//! Invariant: what is not known is never held against a change, and never for it: tests are compared only where both
//! reports name all of theirs, and a failure is excused only by a run that showed it.
//!
//! - [`compare`]: removed, switched off, newly failing, failing before
//! - [`bodies`]: tests that no longer assert anything
//! - [`flaky`]: which red tests earn another run, and what is quarantined
//! - [`promise`]: tests that were to be red before and green after
//! - [`files`]: which changed files hold tests

pub mod bodies;
pub mod compare;
pub mod files;
pub mod flaky;
pub mod promise;

pub use bodies::emptied;
pub use compare::{Compared, Weakened, What, compare};
pub use files::is_test_file;

/// Whether an id is meant by an entry of a plan, in which `*` stands for any text.
pub fn matches(pattern: &str, id: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = id.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// Whether one of the entries means the id.
pub fn any_matches(patterns: &[String], id: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, id, found) in [
            ("a::b", "a::b", true),
            ("a::b", "a::bc", false),
            ("a::*", "a::bc", true),
            ("*::b", "x::a::b", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "ace", true),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("*", "", true),
            ("", "a", false),
            ("a**", "a", true),
            ("t[1]", "t[1]", true),
        ] {
            assert_eq!(matches(pattern, id), found, "{pattern} {id}");
        }
    }
}
