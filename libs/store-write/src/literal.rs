//! A text as a literal of SQL, for the few statements that are written out.
//!
//! Invariant: whatever a text holds, it stays one literal. The session runs with `standard_conforming_strings`,
//! where a quote is the only character that means anything within quotes; NUL, which PostgreSQL cannot store,
//! becomes U+FFFD.

/// Appends a text in quotes.
pub(crate) fn quoted(text: &mut String, string: &str) {
    text.push('\'');
    for c in string.chars() {
        match c {
            '\'' => text.push_str("''"),
            '\0' => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_value_cannot_leave_its_literal() {
        let mut text = String::new();
        quoted(&mut text, "a'; DROP TABLE run; --\\' \0 \u{1f600}");
        assert_eq!(text, "'a''; DROP TABLE run; --\\'' \u{fffd} \u{1f600}'");
    }
}
