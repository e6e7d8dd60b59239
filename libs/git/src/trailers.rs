//! Reading the trailers of a commit message.
//!
//! Invariant: a trailer block is the last paragraph, is not the first, and consists of `Key: value` lines only. This
//! is stricter than git, which also takes a paragraph with some trailers among other text.

/// The trailers in order, keys as written; empty when the message has no block.
pub fn parse(message: &str) -> Vec<(String, String)> {
    let message = message.trim_end();
    let Some(at) = message.rfind("\n\n") else {
        return Vec::new();
    };
    let block: Option<Vec<_>> = message[at..]
        .trim_start_matches('\n')
        .lines()
        .map(line)
        .collect();
    block.unwrap_or_default()
}

/// The value of the last trailer with this key.
pub fn get<'a>(trailers: &'a [(String, String)], key: &str) -> Option<&'a str> {
    trailers
        .iter()
        .rev()
        .find(|(k, _)| k == key)
        .map(|(_, value)| value.as_str())
}

fn line(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once(": ")?;
    is_key(key).then(|| (key.to_owned(), value.trim().to_owned()))
}

/// Letters, digits and dashes.
pub(crate) fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_paragraph_only() {
        let message =
            "Subject\n\nAutopack-Run: no\n\nBody\n\nAutopack-Run: demo\nAutopack-Attempt: 1\n";
        let found = parse(message);
        assert_eq!(found.len(), 2);
        assert_eq!(get(&found, "Autopack-Run"), Some("demo"));
    }

    #[test]
    fn a_subject_or_mixed_paragraph_is_no_block() {
        assert!(parse("Autopack-Run: demo").is_empty());
        assert!(parse("Subject\n\nsome text\nAutopack-Run: demo").is_empty());
        assert!(parse("Subject\nAutopack-Run: demo").is_empty());
        assert!(parse("").is_empty());
    }
}
