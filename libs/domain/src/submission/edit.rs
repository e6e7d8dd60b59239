//! Structured edits of files (SEMANTICS 5.3): whole files, or lines of them.
//!
//! Invariant: line numbers are those of the file as it was before any edit, from 1, both ends included; edits of one
//! file never overlap, insertions included.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::Object;
use crate::{Fault, Faults, plan::closed};

/// Edits of a result, at most.
pub const MAX_EDITS: usize = 2000;
/// The largest line number.
const MAX_LINE: u64 = 10_000_000;
const KEYS: &[&str] = &[
    "op",
    "path",
    "content",
    "line",
    "start_line",
    "end_line",
    "context_before",
    "context_after",
];

closed!(
    /// What an edit does.
    EditOp {
        /// Makes a file that is not there.
        Create = "create",
        /// Replaces a file that is there with other content.
        Write = "write",
        /// Removes a file.
        Remove = "remove",
        /// Puts lines before a line; the line after the last one puts them at the end.
        Insert = "insert",
        /// Puts lines in the place of lines.
        Replace = "replace",
        /// Deletes lines.
        Delete = "delete",
        /// Puts lines at the end.
        Append = "append",
        /// Puts lines at the beginning.
        Prepend = "prepend",
    }
);

impl EditOp {
    /// Whether it is about the file as a whole, and so the only edit of it.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Create | Self::Write | Self::Remove)
    }

    /// Fields that it must have and may have, beside `op` and `path`.
    const fn fields(self) -> (&'static [&'static str], &'static [&'static str]) {
        const CONTEXT: &[&str] = &["context_before", "context_after"];
        match self {
            Self::Create | Self::Write | Self::Append | Self::Prepend => (&["content"], &[]),
            Self::Remove => (&[], &[]),
            Self::Insert => (&["line", "content"], CONTEXT),
            Self::Replace => (&["start_line", "end_line", "content"], CONTEXT),
            Self::Delete => (&["start_line", "end_line"], CONTEXT),
        }
    }
}

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What it does.
    pub op: EditOp,
    /// The file.
    pub path: String,
    /// Lines or the whole content.
    #[serde(default)]
    pub content: String,
    /// First line concerned; for an insertion the line before which it goes. 0: none.
    #[serde(default)]
    pub start: u64,
    /// Last line concerned; 0: none.
    #[serde(default)]
    pub end: u64,
    /// A line that stands within three lines above; empty: not asked for.
    #[serde(default)]
    pub before: String,
    /// A line that stands within three lines below; empty: not asked for.
    #[serde(default)]
    pub after: String,
}

/// The list `edits`.
pub(super) fn read(object: &Object<'_>, faults: &mut Faults) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut whole: BTreeMap<String, bool> = BTreeMap::new();
    for (value, at) in object.list("edits", MAX_EDITS, faults) {
        let Some(entry) = Object::read(value, &at, KEYS, faults) else {
            continue;
        };
        let op = entry.word("op", EditOp::parse, EditOp::spellings(), None, faults);
        let path = entry.one_path("path", faults);
        let Some(op) = op else { continue };
        check_fields(&entry, op, faults);
        let edit = Edit {
            op,
            content: entry.text("content", usize::MAX, faults),
            start: line(
                &entry,
                if op == EditOp::Insert {
                    "line"
                } else {
                    "start_line"
                },
                faults,
            ),
            end: line(&entry, "end_line", faults),
            before: entry.text("context_before", 1000, faults),
            after: entry.text("context_after", 1000, faults),
            path,
        };
        if edit.end < edit.start && matches!(op, EditOp::Replace | EditOp::Delete) {
            let problem = "is before `start_line`";
            faults.push(Fault::new(entry.at("end_line"), problem));
        }
        let alone = whole.insert(edit.path.clone(), op.is_whole());
        if alone.is_some_and(|before| before || op.is_whole()) {
            let problem =
                "has other edits; `create`, `write` and `remove` are the only one of their file";
            faults.push(Fault::new(entry.at("path"), problem));
        }
        edits.push(edit);
    }
    edits
}

fn check_fields(entry: &Object<'_>, op: EditOp, faults: &mut Faults) {
    let (needed, may) = op.fields();
    for key in &KEYS[2..] {
        let there = entry.get(key).is_some();
        if needed.contains(key) && !there {
            let problem = format!("is missing: `{op}` needs it");
            faults.push(Fault::new(entry.at(key), problem));
        } else if there && !needed.contains(key) && !may.contains(key) {
            let problem = format!("does not belong to `{op}`");
            let allowed = needed.iter().chain(may).copied();
            faults.push(Fault::new(entry.at(key), problem).allowed(allowed));
        }
    }
}

/// A line number from 1; 0 where there is none.
fn line(entry: &Object<'_>, key: &str, faults: &mut Faults) -> u64 {
    let found = entry.number(key, MAX_LINE, faults);
    if found == Some(0) {
        faults.push(Fault::new(entry.at(key), "lines are counted from 1").example("1"));
    }
    found.unwrap_or(0)
}

/// A document `{"edits": [...]}`, as a model writes it; every fault at once.
pub fn read_edits(document: &Value) -> Result<Vec<Edit>, Vec<Fault>> {
    let mut faults = Faults::default();
    let Some(object) = Object::read(document, "document", &["summary", "edits"], &mut faults)
    else {
        return faults.into_result(Vec::new());
    };
    if object.get("edits").is_none() {
        faults.push(Fault::new("edits", "is missing").example("[]"));
    }
    let edits = read(&object, &mut faults);
    faults.into_result(edits)
}
