//! Building commit messages.
//!
//! Invariant: the last paragraph is exactly the given trailers. Text from a plan or a builder stands before them and
//! cannot become one, for our parser, for `git interpret-trailers`, or for tools that split lines more freely.

use crate::error::GitError;
use crate::trailers::is_key;

/// Longest subject, in characters.
const SUBJECT: usize = 200;
/// Longest body, in characters.
const BODY: usize = 20_000;

/// Joins subject, body and trailers. A key must be letters, digits and dashes; everything else is made harmless.
pub fn build(subject: &str, body: &str, trailers: &[(&str, &str)]) -> Result<String, GitError> {
    let subject = one_line(subject, SUBJECT);
    let mut message = if subject.is_empty() {
        "(no subject)".to_owned()
    } else {
        subject
    };
    message.push('\n');
    let body = paragraphs(body);
    if !body.is_empty() {
        message.push('\n');
        message.push_str(&body);
        message.push('\n');
    }
    if !trailers.is_empty() {
        message.push('\n');
    }
    for (key, value) in trailers {
        if !is_key(key) {
            return Err(GitError::unexpected(
                "a trailer key of letters, digits and dashes",
                key.as_bytes(),
            ));
        }
        let value = one_line(value, BODY);
        let value = if value.is_empty() { "-" } else { &value };
        message.extend([*key, ": ", value, "\n"]);
    }
    Ok(message)
}

/// Any kind of line end or control character becomes one space.
fn one_line(text: &str, max: usize) -> String {
    let spaced: String = text
        .chars()
        .map(|c| {
            if breaks_line(c) || c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words
        .join(" ")
        .chars()
        .take(max)
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// The body's lines, without control characters, none of them looking like a trailer or a divider.
fn paragraphs(body: &str) -> String {
    let text: String = body.replace("\r\n", "\n").chars().take(BODY).collect();
    let mut lines: Vec<String> = Vec::new();
    for line in text.split(breaks_line) {
        let line: String = line
            .chars()
            .filter(|c| *c == '\t' || !c.is_control())
            .collect();
        let line = line.trim_end();
        lines.push(if is_dangerous(line) {
            format!("    {line}")
        } else {
            line.to_owned()
        });
    }
    lines.join("\n").trim_matches('\n').to_owned()
}

fn breaks_line(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{0b}' | '\u{0c}' | '\u{1c}'
            ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// What git or a human could take for a trailer, and what makes git stop looking for ours.
fn is_dangerous(line: &str) -> bool {
    let key = line
        .trim_start()
        .split([':', '=', '#'])
        .next()
        .unwrap_or_default();
    let trailer = key.len() < line.trim_start().len() && is_key(key.trim_end());
    let divider =
        line.starts_with("---") || line.starts_with("diff ") || line.starts_with("Index: ");
    let picked = line.starts_with("(cherry picked from commit ");
    trailer && !line.starts_with(' ') || divider || picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trailers::parse;

    const OURS: &[(&str, &str)] = &[("Autopack-Run", "demo"), ("Autopack-Attempt", "1")];

    fn keys(message: &str) -> Vec<String> {
        parse(message)
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }

    #[test]
    fn the_shape_is_that_of_the_design() {
        let built = build("P1.1: Parse durations", "", OURS).unwrap();
        assert_eq!(
            built,
            "P1.1: Parse durations\n\nAutopack-Run: demo\nAutopack-Attempt: 1\n"
        );
    }

    #[test]
    fn nothing_enters_the_trailer_block() {
        let hostile = [
            "x\n\nAutopack-Run: evil",
            "x\r\rAutopack-Run: evil",
            "x\u{2028}\u{2028}Autopack-Run: evil",
            "Autopack-Run: evil",
            "Autopack-Run : evil\n\n",
            "---\nAutopack-Run: evil",
            "\u{0b}Autopack-Run: evil\u{85}Autopack-Run: evil",
            "a\0\n\nAutopack-Run: evil\n\n\n",
        ];
        for text in hostile {
            for built in [
                build(text, "", OURS),
                build("s", text, OURS),
                build("s", "", &[("Autopack-Run", text)]),
            ] {
                let built = built.unwrap();
                let found = keys(&built);
                assert!(
                    !found.contains(&"Autopack-Run=evil".to_owned()) || text.len() == 18,
                    "{built:?}"
                );
                assert!(!built.lines().any(|line| line == "---"), "{built:?}");
            }
            assert_eq!(
                keys(&build(text, text, OURS).unwrap()),
                ["Autopack-Run=demo", "Autopack-Attempt=1"]
            );
            assert!(keys(&build(text, text, &[]).unwrap()).is_empty());
        }
    }

    #[test]
    fn odd_input_still_makes_a_message() {
        assert_eq!(
            build(" \n ", "", &[("K", "")]).unwrap(),
            "(no subject)\n\nK: -\n"
        );
        assert!(build("s", "", &[("bad key", "v")]).is_err());
        assert!(build(&"é".repeat(900), "", &[]).unwrap().chars().count() <= SUBJECT + 1);
    }

    #[test]
    fn ordinary_bodies_are_kept() {
        let built = build("s", "One line.\n\n- a point\n\tindented", OURS).unwrap();
        assert!(built.contains("One line.\n\n- a point\n\tindented\n\nAutopack-Run"));
    }
}
