//! Fields of a submitted document, read with every fault at its path.
//!
//! Invariant: reading goes on after a fault; a key or a value that is not known is one.

use serde_json::{Map, Value};

use crate::{
    Fault, Faults,
    issue::{NewIssue, Severity},
    plan::{category, parse_document},
    usage::{Provenance, Usage},
};

/// Characters of an identity, at most.
const MAX_IDENTITY: usize = 128;
/// Entries of usage, at most.
const MAX_USAGE: usize = 64;
/// Issues of a document, at most.
const MAX_ISSUES: usize = 100;
/// Characters of a path, at most.
const MAX_PATH: usize = 500;

/// An object of the document.
pub(super) struct Object<'v> {
    map: &'v Map<String, Value>,
    path: String,
}

impl<'v> Object<'v> {
    /// The value as an object with these keys and no other.
    pub(super) fn read(
        value: &'v Value,
        path: &str,
        keys: &[&str],
        faults: &mut Faults,
    ) -> Option<Self> {
        let Value::Object(map) = value else {
            faults.push(Fault::new(path, "must be an object"));
            return None;
        };
        let object = Self {
            map,
            path: path.to_owned(),
        };
        for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
            let name: String = key.chars().take(80).collect();
            let fault = Fault::new(object.at(&name), "unknown field");
            faults.push(fault.allowed(keys.iter().copied()));
        }
        Some(object)
    }

    /// The path of a field.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() || self.path == "document" {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// A field's value, if it is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A text; left out: empty.
    pub(super) fn text(&self, key: &str, max: usize, faults: &mut Faults) -> String {
        let Some(value) = self.get(key) else {
            return String::new();
        };
        match value.as_str() {
            Some(text) if text.chars().count() <= max => return text.to_owned(),
            Some(_) => faults.push(Fault::new(
                self.at(key),
                format!("has more than {max} characters"),
            )),
            None => faults.push(Fault::new(self.at(key), "must be a text")),
        }
        String::new()
    }

    /// A text that must be there.
    pub(super) fn needed(
        &self,
        key: &str,
        max: usize,
        example: &str,
        faults: &mut Faults,
    ) -> String {
        let text = self.text(key, max, faults);
        let missing = match self.get(key) {
            None => true,
            Some(value) => value.as_str() == Some(""),
        };
        if missing {
            faults.push(Fault::new(self.at(key), "is missing").example(example));
        }
        text
    }

    /// Who speaks.
    pub(super) fn identity(&self, key: &str, faults: &mut Faults) -> String {
        let text = self.needed(key, MAX_IDENTITY, "build-bot-7", faults);
        if text.trim() != text || text.chars().any(char::is_control) {
            let problem = "must have no control characters and no spaces at its ends";
            faults.push(Fault::new(self.at(key), problem).example("build-bot-7"));
        }
        text
    }

    /// A word of a closed list; left out: `default`, or a fault where there is none.
    pub(super) fn word<T: Copy>(
        &self,
        key: &str,
        parse: fn(&str) -> Option<T>,
        allowed: Vec<&'static str>,
        default: Option<T>,
        faults: &mut Faults,
    ) -> Option<T> {
        let Some(value) = self.get(key) else {
            if default.is_none() {
                faults.push(Fault::new(self.at(key), "is missing").allowed(allowed));
            }
            return default;
        };
        let found = value.as_str().and_then(parse);
        if found.is_none() {
            let shown: String = value.to_string().chars().take(60).collect();
            let problem = format!("{shown} is not one of the list");
            faults.push(Fault::new(self.at(key), problem).allowed(allowed));
        }
        found
    }

    /// A whole number; left out: none.
    pub(super) fn number(&self, key: &str, max: u64, faults: &mut Faults) -> Option<u64> {
        let value = self.get(key)?;
        let found = value.as_u64().filter(|number| *number <= max);
        if found.is_none() {
            let problem = format!("must be a whole number from 0 to {max}");
            faults.push(Fault::new(self.at(key), problem));
        }
        found
    }

    /// The entries of a list with their paths; left out: none.
    pub(super) fn list(
        &self,
        key: &str,
        max: usize,
        faults: &mut Faults,
    ) -> Vec<(&'v Value, String)> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let at = self.at(key);
        let Value::Array(items) = value else {
            faults.push(Fault::new(at, "must be a list"));
            return Vec::new();
        };
        if items.len() > max {
            let problem = format!("has {} entries; at most {max}", items.len());
            faults.push(Fault::new(&at, problem));
            return Vec::new();
        }
        let numbered = items.iter().enumerate();
        numbered
            .map(|(n, item)| (item, format!("{at}[{n}]")))
            .collect()
    }

    /// A list of texts.
    pub(super) fn texts(
        &self,
        key: &str,
        max: usize,
        long: usize,
        faults: &mut Faults,
    ) -> Vec<String> {
        let mut texts = Vec::new();
        for (value, at) in self.list(key, max, faults) {
            match value.as_str() {
                Some(text) if !text.is_empty() && text.chars().count() <= long => {
                    texts.push(text.to_owned());
                }
                _ => faults.push(Fault::new(
                    at,
                    format!("must be a text of 1 to {long} characters"),
                )),
            }
        }
        texts
    }

    /// A list of paths of the repository.
    pub(super) fn paths(&self, key: &str, max: usize, faults: &mut Faults) -> Vec<String> {
        let found = self.texts(key, max, MAX_PATH, faults);
        for (n, path) in found.iter().enumerate() {
            if let Some(problem) = bad_path(path) {
                faults.push(
                    Fault::new(format!("{}[{n}]", self.at(key)), problem).example("src/lib.rs"),
                );
            }
        }
        found
    }

    /// A path of the repository that must be there.
    pub(super) fn one_path(&self, key: &str, faults: &mut Faults) -> String {
        let path = self.needed(key, MAX_PATH, "src/lib.rs", faults);
        if let Some(problem) = bad_path(&path).filter(|_| !path.is_empty()) {
            faults.push(Fault::new(self.at(key), problem).example("src/lib.rs"));
        }
        path
    }

    /// The tokens that were used, in this role.
    pub(super) fn usage(&self, key: &str, role: &str, faults: &mut Faults) -> Vec<Usage> {
        const KEYS: &[&str] = &[
            "provider",
            "model",
            "purpose",
            "total",
            "prompt",
            "completion",
            "provenance",
        ];
        // A cap can hold no more, and sums stay far from the end of the number.
        const MAX: u64 = 1 << 48;
        let mut usage = Vec::new();
        for (value, at) in self.list(key, MAX_USAGE, faults) {
            let Some(object) = Object::read(value, &at, KEYS, faults) else {
                continue;
            };
            if object.get("total").is_none() {
                faults.push(Fault::new(object.at("total"), "is missing").example("12000"));
            }
            let provenance = object.word(
                "provenance",
                Provenance::parse,
                Provenance::spellings(),
                Some(Provenance::Reported),
                faults,
            );
            usage.push(Usage {
                provider: object.text("provider", 100, faults),
                model: object.text("model", 100, faults),
                role: role.to_owned(),
                purpose: object.text("purpose", 200, faults),
                total: object.number("total", MAX, faults).unwrap_or(0),
                prompt: object.number("prompt", MAX, faults),
                completion: object.number("completion", MAX, faults),
                provenance: provenance.unwrap_or(Provenance::Reported),
            });
        }
        usage
    }

    /// Issues that are claimed, under a source of ours: who says it is not for the one who says it to choose.
    pub(super) fn issues(&self, key: &str, source: &str, faults: &mut Faults) -> Vec<NewIssue> {
        const KEYS: &[&str] = &[
            "key",
            "severity",
            "category",
            "description",
            "evidence",
            "paths",
        ];
        let mut issues = Vec::new();
        for (value, at) in self.list(key, MAX_ISSUES, faults) {
            let Some(object) = Object::read(value, &at, KEYS, faults) else {
                continue;
            };
            let kind = object.text("category", 200, faults);
            let severity = object.word(
                "severity",
                Severity::parse,
                Severity::spellings(),
                Severity::parse(category(&kind).severity),
                faults,
            );
            let issue = NewIssue {
                key: object.text("key", 1000, faults),
                severity: severity.unwrap_or(Severity::Minor),
                source: source.to_owned(),
                category: kind,
                description: object.text("description", 10_000, faults),
                evidence: object.texts("evidence", 100, 1000, faults),
                paths: object.texts("paths", 100, 1000, faults),
            };
            for fault in issue.faults(&format!("{at}.")) {
                faults.push(fault);
            }
            issues.push(issue);
        }
        issues
    }
}

/// Reads a document: what it says of its schema and of the run and phase it is for, then what `body` makes of the rest.
pub(super) fn read_document<T>(
    (text, name): (&str, &str),
    (schema, keys): (&'static str, &[&str]),
    ids: (&str, &str),
    body: impl FnOnce(&Object<'_>, &mut Faults) -> T,
) -> Result<T, Vec<Fault>> {
    let value = parse_document(text, name).map_err(|fault| vec![fault])?;
    let mut faults = Faults::default();
    let Some(object) = Object::read(&value, "document", keys, &mut faults) else {
        return Err(faults.into_vec());
    };
    if let Some(named) = object.get("schema")
        && named.as_str() != Some(schema)
    {
        faults.push(Fault::new("schema", "is not known").allowed([schema]));
    }
    agree(&object, ids, &mut faults);
    let read = body(&object, &mut faults);
    faults.into_result(read)
}

/// Ids of the document that are not those of the request.
fn agree(object: &Object<'_>, ids: (&str, &str), faults: &mut Faults) {
    for (key, wanted) in [("run_id", ids.0), ("phase_id", ids.1)] {
        if let Some(value) = object.get(key)
            && value.as_str() != Some(wanted)
        {
            let problem = format!("differs from the request's `{wanted}`");
            faults.push(Fault::new(object.at(key), problem).allowed([wanted]));
        }
    }
}

/// What is wrong with a path of the repository; scope and protection are judged later, on the change itself.
fn bad_path(path: &str) -> Option<&'static str> {
    if path
        .chars()
        .any(|c| c.is_control() || c == '\\' || c == '"')
    {
        return Some("must have no control characters, backslashes or quotes");
    }
    let plain = path
        .split('/')
        .all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"));
    (!plain).then_some("must be relative to the repository, without `.`, `..` and `.git`")
}
