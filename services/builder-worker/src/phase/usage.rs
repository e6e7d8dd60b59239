//! The usage that a builder reports in a file, and what of it was booked already.
//!
//! Invariant: figures are summed by provider, model, role and purpose, and only what a sum has grown by is ever sent,
//! so a file may be appended to, rewritten with larger totals, or read as often as one likes.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use autopack_domain::usage::{Provenance, Usage};
use serde_json::{Map, Value};

/// The most that is read of a usage file.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// The longest name in an entry.
const MAX_NAME: usize = 200;
/// The most entries that count.
const MAX_ENTRIES: usize = 10_000;

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) entries: Vec<Usage>,
    /// Parts that are no usage.
    pub(crate) malformed: usize,
}

/// Reads one object, a list, or one object a line. `whole` is false while the builder may still be writing: then a
/// last line that is not complete is no fault.
pub(crate) fn parse(text: &str, whole: bool) -> Parsed {
    let mut parsed = Parsed::default();
    if text.trim().is_empty() {
        return parsed;
    }
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        parsed.take(&value);
        return parsed;
    }
    let complete = if whole {
        text
    } else {
        text.rfind('\n').map_or("", |end| &text[..end])
    };
    for line in complete.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str::<Value>(line) {
            Ok(value) => parsed.take(&value),
            Err(_) => parsed.malformed += 1,
        }
    }
    parsed
}

impl Parsed {
    fn take(&mut self, value: &Value) {
        let one;
        let items = match value {
            Value::Array(items) => items.as_slice(),
            other => {
                one = [other.clone()];
                &one
            }
        };
        for item in items {
            match item.as_object().and_then(entry) {
                Some(usage) if self.entries.len() < MAX_ENTRIES => self.entries.push(usage),
                _ => self.malformed += 1,
            }
        }
    }
}

fn entry(object: &Map<String, Value>) -> Option<Usage> {
    // Absent is fine, anything but a whole number is not.
    let count = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => value.as_u64().map(Some),
    };
    let text = |name: &str| {
        let text = object.get(name).and_then(Value::as_str).unwrap_or_default();
        text.chars().take(MAX_NAME).collect::<String>()
    };
    let (prompt, completion) = (count("prompt_tokens")?, count("completion_tokens")?);
    let told = count("total_tokens")?.or(count("total")?);
    let (total, provenance) = match (told, prompt, completion) {
        (Some(total), ..) => (total, Provenance::Reported),
        (None, Some(prompt), Some(completion)) => {
            (prompt.saturating_add(completion), Provenance::Derived)
        }
        _ => return None,
    };
    let role = text("role");
    Some(Usage {
        provider: text("provider"),
        model: text("model"),
        role: if role.is_empty() {
            "builder".to_owned()
        } else {
            role
        },
        purpose: text("purpose"),
        total,
        prompt,
        completion,
        provenance,
    })
}

/// The text of a usage file; empty if there is none. Links and anything but plain files do not count.
pub(crate) fn read_file(path: &Path) -> String {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32)
        .open(path);
    let Ok(file) = opened else {
        return String::new();
    };
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return String::new();
    }
    let mut bytes = Vec::new();
    // What could not be read is missing, as if it had not been written.
    let _ = file.take(MAX_BYTES as u64).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

type Key = (String, String, String, String);

#[derive(Debug, Default, Clone)]
struct Sum {
    total: u64,
    prompt: Option<u64>,
    completion: Option<u64>,
    /// The weakest of its parts.
    provenance: Option<Provenance>,
}

/// What was sent of a file.
#[derive(Debug, Default)]
pub(crate) struct Book {
    sent: BTreeMap<Key, Sum>,
    /// Sums that a rewritten file made smaller.
    pub(crate) shrunk: bool,
}

impl Book {
    /// What these entries add to what was sent; from now on it counts as sent.
    pub(crate) fn increments(&mut self, entries: &[Usage]) -> Vec<Usage> {
        let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
        for usage in entries {
            let key = (
                usage.provider.clone(),
                usage.model.clone(),
                usage.role.clone(),
                usage.purpose.clone(),
            );
            let sum = sums.entry(key).or_default();
            sum.total = sum.total.saturating_add(usage.total);
            sum.prompt = plus(sum.prompt, usage.prompt);
            sum.completion = plus(sum.completion, usage.completion);
            sum.provenance = sum.provenance.max(Some(usage.provenance));
        }
        let mut grown = Vec::new();
        for (key, sum) in sums {
            let sent = self.sent.entry(key.clone()).or_default();
            self.shrunk |= sum.total < sent.total;
            if sum.total <= sent.total {
                continue;
            }
            let (provider, model, role, purpose) = key;
            grown.push(Usage {
                provider,
                model,
                role,
                purpose,
                total: sum.total - sent.total,
                prompt: minus(sum.prompt, sent.prompt),
                completion: minus(sum.completion, sent.completion),
                provenance: sum.provenance.unwrap_or(Provenance::Reported),
            });
            *sent = sum;
        }
        grown
    }

    /// Whether anything was ever sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.values().all(|sum| sum.total == 0)
    }
}

fn plus(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

fn minus(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    now.map(|now| now.saturating_sub(before.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(text: &str, whole: bool) -> (Vec<u64>, usize) {
        let parsed = parse(text, whole);
        let totals = parsed.entries.iter().map(|usage| usage.total).collect();
        (totals, parsed.malformed)
    }

    #[test]
    fn objects_lists_and_lines_are_read() {
        for (text, want) in [
            ("", (vec![], 0)),
            (r#"{"total_tokens": 5}"#, (vec![5], 0)),
            (
                r#"{"prompt_tokens": 2, "completion_tokens": 3}"#,
                (vec![5], 0),
            ),
            ("[{\"total\": 1}, {\"total\": 2}]", (vec![1, 2], 0)),
            ("{\"total\": 1}\n\n{\"total\": 2}\n", (vec![1, 2], 0)),
            ("{\"total\": 1}\nnonsense\n{\"total\"", (vec![1], 2)),
            (r#"{"total": -4}"#, (vec![], 1)),
            (r#"{"total": "5"}"#, (vec![], 1)),
            (r#"{"model": "m"}"#, (vec![], 1)),
            ("7", (vec![], 1)),
        ] {
            assert_eq!(totals(text, true), want, "{text}");
        }
        assert_eq!(totals("{\"total\": 1}\n{\"tot", false), (vec![1], 0));
        assert_eq!(totals("{\"total\": ", false), (vec![], 0));
    }

    #[test]
    fn names_have_defaults_and_bounds() {
        let text = format!(
            r#"{{"total": 1, "model": "{}", "role": "auditor"}}"#,
            "m".repeat(999)
        );
        let usage = parse(&text, true).entries.remove(0);
        assert_eq!((usage.role.as_str(), usage.model.len()), ("auditor", 200));
        assert_eq!(parse(r#"{"total": 1}"#, true).entries[0].role, "builder");
    }

    #[test]
    fn a_sum_is_never_sent_twice() {
        let mut book = Book::default();
        let read = |text: &str| parse(text, true).entries;
        let one = book.increments(&read(r#"{"model": "m", "total": 10, "prompt_tokens": 4}"#));
        assert_eq!((one.len(), one[0].total, one[0].prompt), (1, 10, Some(4)));
        // Rewritten with a larger total, then appended to in another form.
        let two = book.increments(&read(r#"{"model": "m", "total": 25, "prompt_tokens": 9}"#));
        assert_eq!((two[0].total, two[0].prompt), (15, Some(5)));
        assert!(
            book.increments(&read(r#"{"model": "m", "total": 25}"#))
                .is_empty()
        );
        let three = book.increments(&read(
            "{\"model\":\"m\",\"total\":25}\n{\"model\":\"n\",\"total\":1}",
        ));
        assert_eq!((three.len(), three[0].model.as_str()), (1, "n"));
        assert!(!book.shrunk && !book.is_empty());
        assert!(
            book.increments(&read(r#"{"model": "m", "total": 3}"#))
                .is_empty()
        );
        assert!(book.shrunk);
    }

    #[test]
    fn only_plain_files_are_read() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("usage");
        assert_eq!(read_file(&file), "");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(read_file(&file), "x");
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_file(&link), "");
        assert_eq!(read_file(temp.path()), "");
        std::fs::write(&file, vec![b'x'; MAX_BYTES + 5]).unwrap();
        assert_eq!(read_file(&file).len(), MAX_BYTES);
    }
}
