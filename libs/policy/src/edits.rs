//! Structured edits on the text of one file, and the change as a patch (SEMANTICS 5.3).
//!
//! Invariant: all edits of a file apply, or none; line numbers mean the file as it was, whatever the order of the edits.
//! The result is one patch of a bounded size, so that edits take the same way through git as any other change.

use std::fmt::Write as _;

use autopack_domain::submission::{Edit, EditOp};

/// How far context may stand from the lines concerned.
const NEAR: usize = 3;
/// Lines that a patch shows around a change.
const CONTEXT: usize = 3;

/// A file after its edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// Its text.
    Text(String),
    /// It is gone.
    Removed,
}

/// Applies the edits of one file to its text; `None`: there is no such file. The error says which edit does not fit.
pub fn apply(path: &str, text: Option<&str>, edits: &[&Edit]) -> Result<Edited, String> {
    let fail = |problem: String| Err(format!("{path}: {problem}"));
    if let [only] = edits
        && only.op.is_whole()
    {
        return match (only.op, text) {
            (EditOp::Create, Some(_)) => {
                fail("`create` of a file that exists; use `write`".to_owned())
            }
            (EditOp::Create, None) | (EditOp::Write, Some(_)) => {
                Ok(Edited::Text(only.content.clone()))
            }
            (EditOp::Remove, Some(_)) => Ok(Edited::Removed),
            (op, _) => fail(format!("`{op}` of a file that does not exist")),
        };
    }
    let Some(text) = text else {
        return fail("the file does not exist; use `create`".to_owned());
    };
    let file = Lines::of(text);
    let mut spans = Vec::with_capacity(edits.len());
    for (n, edit) in edits.iter().enumerate() {
        let span = file
            .span(edit)
            .map_err(|problem| format!("{path}: {problem}"))?;
        spans.push((span, n, *edit));
    }
    spans.sort_by_key(|((from, to), n, _)| (*from, *to, *n));
    for pair in spans.windows(2) {
        let [((_, end), _, one), ((start, _), _, other)] = pair else {
            continue;
        };
        if start < end {
            return fail(format!(
                "`{}` and `{}` overlap at line {}",
                one.op,
                other.op,
                start + 1
            ));
        }
    }
    let mut lines: Vec<&str> = file.lines.clone();
    let made: Vec<Vec<String>> = spans.iter().map(|(_, _, edit)| file.made(edit)).collect();
    // From the bottom, so that the numbers above stay true.
    for (((from, to), ..), content) in spans.iter().zip(&made).rev() {
        lines.splice(*from..*to, content.iter().map(String::as_str));
    }
    Ok(Edited::Text(file.join(&lines)))
}

/// The lines of a text with their ends.
struct Lines<'t> {
    lines: Vec<&'t str>,
    end: &'static str,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let windows = lines.iter().filter(|line| line.ends_with("\r\n")).count();
        Self {
            end: if windows * 2 > lines.len() {
                "\r\n"
            } else {
                "\n"
            },
            lines,
        }
    }

    /// The lines concerned, from 0, the end left out.
    fn span(&self, edit: &Edit) -> Result<(usize, usize), String> {
        let count = self.lines.len();
        let at = |line: u64| usize::try_from(line).unwrap_or(usize::MAX);
        let (from, to) = match edit.op {
            EditOp::Prepend => (0, 0),
            EditOp::Append => (count, count),
            EditOp::Insert => (
                at(edit.start).saturating_sub(1),
                at(edit.start).saturating_sub(1),
            ),
            EditOp::Replace | EditOp::Delete => (at(edit.start).saturating_sub(1), at(edit.end)),
            EditOp::Create | EditOp::Write | EditOp::Remove => {
                return Err(format!("`{}` beside other edits", edit.op));
            }
        };
        if from > count || to > count || from > to {
            return Err(format!(
                "`{}` at line {}: the file has {count} lines",
                edit.op, edit.start
            ));
        }
        let above = &self.lines[from.saturating_sub(NEAR)..from];
        let below = &self.lines[to..(to + NEAR).min(count)];
        for (wanted, near, side) in [
            (&edit.before, above, "above"),
            (&edit.after, below, "below"),
        ] {
            let found = near.iter().any(|line| line.trim() == wanted.trim());
            if !wanted.trim().is_empty() && !found {
                return Err(format!(
                    "`{}` at line {}: `{}` does not stand within {NEAR} lines {side}",
                    edit.op,
                    edit.start,
                    wanted.trim()
                ));
            }
        }
        Ok((from, to))
    }

    /// The lines that an edit brings, each with the file's own end.
    fn made(&self, edit: &Edit) -> Vec<String> {
        if edit.op == EditOp::Delete {
            return Vec::new();
        }
        let content = edit.content.lines();
        content.map(|line| format!("{line}{}", self.end)).collect()
    }

    /// The text again; a last line that had no end gets one where others follow it.
    fn join(&self, lines: &[&str]) -> String {
        let mut text = String::new();
        for (n, line) in lines.iter().enumerate() {
            text.push_str(line);
            if n + 1 < lines.len() && !line.ends_with('\n') {
                text.push_str(self.end);
            }
        }
        text
    }
}

/// The changes of many files, in git's format.
#[derive(Clone, Debug)]
pub struct Patch {
    text: String,
    max: usize,
}

impl Patch {
    /// An empty patch that may have `max` bytes.
    pub fn within(max: usize) -> Self {
        Self {
            text: String::new(),
            max,
        }
    }

    /// Adds the change of one file. The error says that the patch has become too large.
    pub fn add(&mut self, path: &str, before: Option<&str>, after: &Edited) -> Result<(), String> {
        write(&mut self.text, path, before, after);
        if self.text.len() <= self.max {
            return Ok(());
        }
        let mib = self.max.div_ceil(1 << 20);
        Err(format!(
            "{path}: up to here the edits make a patch of more than {mib} MiB; split the phase or change less"
        ))
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Its text.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

/// The change of one file in git's format; empty if there is none.
pub fn patch(path: &str, before: Option<&str>, after: &Edited) -> String {
    let mut out = String::new();
    write(&mut out, path, before, after);
    out
}

/// One hunk from the first changed line to the last one, so it applies to exactly the text that was edited.
fn write(out: &mut String, path: &str, before: Option<&str>, after: &Edited) {
    let new = match after {
        Edited::Text(text) => Some(text.as_str()),
        Edited::Removed => None,
    };
    if before == new {
        return;
    }
    let _ = writeln!(out, "diff --git a/{path} b/{path}");
    match (before, new) {
        (None, _) => out.push_str("new file mode 100644\n"),
        (_, None) => out.push_str("deleted file mode 100644\n"),
        (Some(_), Some(_)) => {}
    }
    let old: Vec<&str> = before.unwrap_or_default().split_inclusive('\n').collect();
    let fresh: Vec<&str> = new.unwrap_or_default().split_inclusive('\n').collect();
    if old.is_empty() && fresh.is_empty() {
        // An empty file comes or goes by its header alone.
        return;
    }
    // A tab ends a name that has spaces.
    let tab = if path.contains(' ') { "\t" } else { "" };
    let name = |side: &str, there: bool| {
        if there {
            format!("{side}/{path}{tab}")
        } else {
            "/dev/null".to_owned()
        }
    };
    let alike = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let above = old.iter().zip(&fresh).take_while(alike).count();
    let tails = old[above..].iter().rev().zip(fresh[above..].iter().rev());
    let below = tails.take_while(alike).count();
    // Both sides show the same lines around the change.
    let from = above.saturating_sub(CONTEXT);
    let shown = below.min(CONTEXT);
    let (old_end, new_end) = (old.len() - below, fresh.len() - below);
    let range = |end: usize| {
        let count = end + shown - from;
        format!("{},{count}", if count == 0 { from } else { from + 1 })
    };
    let _ = writeln!(out, "--- {}", name("a", before.is_some()));
    let _ = writeln!(out, "+++ {}", name("b", new.is_some()));
    let _ = writeln!(out, "@@ -{} +{} @@", range(old_end), range(new_end));
    for (sign, lines) in [
        (' ', &old[from..above]),
        ('-', &old[above..old_end]),
        ('+', &fresh[above..new_end]),
        (' ', &old[old_end..old_end + shown]),
    ] {
        for line in lines {
            out.push(sign);
            out.push_str(line);
            if !line.ends_with('\n') {
                out.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
}
