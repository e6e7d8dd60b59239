//! Markdown to groups of deliverables.
//!
//! Invariant: every list item outside code becomes part of exactly one group, or a note says why not. Code is never read
//! as a list, a nested item belongs to the one above it, and no number of items is cut off.

use super::{Brief, Group, words};

/// Headings whose lists are not to be built.
const NOT_BUILT: &[&str] = &[
    "non-goals",
    "non goals",
    "out of scope",
    "not in scope",
    "background",
    "context",
    "references",
    "links",
    "open questions",
    "risks",
    "changelog",
    "done",
];
/// Headings whose text is the goal.
const GOAL: &[&str] = &["goal", "goals", "objective", "summary", "purpose"];
/// Headings that only say that a list follows: the part above them names the group.
const GENERIC: &[&str] = &[
    "deliverables",
    "tasks",
    "todo",
    "to do",
    "steps",
    "requirements",
    "acceptance criteria",
    "implementation",
    "work",
    "plan",
    "phases",
];

struct Reader {
    brief: Brief,
    /// Headings above the line, by level.
    above: Vec<(usize, String)>,
    title: String,
    /// The first paragraph, and that below a heading of [`GOAL`].
    first: String,
    goal: String,
    /// Indent of the list's items.
    indent: usize,
    skipped: usize,
    done: usize,
    fence: Option<String>,
    is_new: bool,
}

/// Reads Markdown: headings make groups, list items their deliverables. A text without lists has no groups.
pub fn read_markdown(text: &str) -> Brief {
    let mut reader = Reader {
        brief: Brief::default(),
        above: Vec::new(),
        title: String::new(),
        first: String::new(),
        goal: String::new(),
        indent: 0,
        skipped: 0,
        done: 0,
        fence: None,
        is_new: true,
    };
    let mut before = "";
    for line in text.lines() {
        reader.line(line, before);
        before = line;
    }
    reader.finish()
}

impl Reader {
    fn line(&mut self, line: &str, before: &str) {
        let bare = line.trim();
        if let Some(fence) = &self.fence {
            if bare.starts_with(fence.as_str()) {
                self.fence = None;
            }
            return;
        }
        if let Some(mark) = ["```", "~~~"].iter().find(|mark| bare.starts_with(**mark)) {
            self.fence = Some((*mark).to_owned());
            return;
        }
        if let Some((level, name)) = heading(bare) {
            self.heading(level, &name);
        } else if let Some((indent, item)) = item(line) {
            self.item(indent, item);
        } else if bare.is_empty()
            || bare.starts_with('|')
            || bare.starts_with("---")
            || bare.starts_with('>')
            || bare.starts_with("<!--")
        {
            // Rules, tables, quotes and comments are not deliverables.
        } else if line.starts_with([' ', '\t']) && self.continues(before) {
            self.extend(bare);
        } else {
            self.paragraph(bare, before);
        }
    }

    fn heading(&mut self, level: usize, name: &str) {
        self.is_new = true;
        self.above.retain(|(above, _)| *above < level);
        if self.title.is_empty() && level == 1 {
            name.clone_into(&mut self.title);
            return;
        }
        self.above.push((level, name.to_owned()));
    }

    /// Whether the last heading, or one above it, is in a list of names.
    fn is_under(&self, names: &[&str]) -> bool {
        self.above.iter().any(|(_, name)| {
            let name = name.to_lowercase();
            names.contains(&name.trim_end_matches(':').trim())
        })
    }

    fn paragraph(&mut self, text: &str, before: &str) {
        let place = if self.is_under(GOAL) {
            &mut self.goal
        } else if self.brief.groups.is_empty() && self.above.is_empty() {
            &mut self.first
        } else {
            return;
        };
        if place.is_empty() {
            text.clone_into(place);
        } else if !before.trim().is_empty() {
            place.push(' ');
            place.push_str(text);
        }
    }

    fn item(&mut self, indent: usize, text: &str) {
        let (text, done) = unchecked(text);
        let text = words::plain(text);
        if text.is_empty() {
            return;
        }
        if done {
            self.done += 1;
            return;
        }
        if self.is_under(GOAL) {
            if self.goal.is_empty() {
                self.goal = text;
            }
            return;
        }
        if self.is_under(NOT_BUILT) {
            self.skipped += 1;
            return;
        }
        if self.is_new {
            let group = self.group();
            self.brief.groups.push(group);
            self.is_new = false;
            self.indent = indent;
        }
        if indent > self.indent + 1 {
            self.extend(&text);
            return;
        }
        self.indent = indent;
        let known = self.brief.groups.iter().flat_map(|group| &group.items);
        if known.clone().any(|item| item.eq_ignore_ascii_case(&text)) {
            self.brief
                .notes
                .push(format!("`{text}` stands there twice; it is built once"));
        } else if let Some(group) = self.brief.groups.last_mut() {
            group.items.push(text);
        }
    }

    /// A group for the heading above; headings that only announce a list give way to theirs.
    fn group(&self) -> Group {
        let named: Vec<&str> = self
            .above
            .iter()
            .map(|(_, name)| name.as_str())
            .filter(|name| !GENERIC.contains(&name.to_lowercase().trim_end_matches(':').trim()))
            .collect();
        let (part, name) = match named.as_slice() {
            [] => ("", ""),
            [name] => ("", *name),
            [part, .., name] => (*part, *name),
        };
        Group {
            part: part.to_owned(),
            name: name.to_owned(),
            items: Vec::new(),
        }
    }

    /// Whether a line after this one may go on with the last item.
    fn continues(&self, before: &str) -> bool {
        !self.is_new && !before.trim().is_empty()
    }

    /// More of the last item.
    fn extend(&mut self, text: &str) {
        let last = self
            .brief
            .groups
            .last_mut()
            .and_then(|group| group.items.last_mut());
        if let Some(item) = last {
            let joint = if item.ends_with([':', ';', ',', '.']) {
                " "
            } else {
                "; "
            };
            item.push_str(joint);
            item.push_str(&words::plain(text));
        }
    }

    fn finish(mut self) -> Brief {
        self.brief.groups.retain(|group| !group.items.is_empty());
        if self.brief.groups.iter().any(|group| !group.part.is_empty()) {
            // A heading with groups below it has its own list in the same part.
            for group in &mut self.brief.groups {
                if group.part.is_empty() {
                    group.part.clone_from(&group.name);
                }
            }
        }
        let said = [&self.goal, &self.title, &self.first];
        let goal = said.into_iter().find(|text| !text.trim().is_empty());
        self.brief.goal = goal.map_or_else(String::new, |text| words::anchor(text));
        if self.done > 0 {
            let text = format!("{} ticked off already; left out", self.done);
            self.brief.notes.push(text);
        }
        if self.skipped > 0 {
            let text = format!(
                "{} below headings that are not to be built; left out",
                self.skipped
            );
            self.brief.notes.push(text);
        }
        self.brief
    }
}

/// Level and text of `# Heading`.
fn heading(line: &str) -> Option<(usize, String)> {
    let level = line.bytes().take_while(|b| *b == b'#').count();
    let rest = line.get(level..)?;
    if !(1..=6).contains(&level) || !rest.starts_with([' ', '\t']) {
        return None;
    }
    let name = words::plain(rest.trim().trim_end_matches('#'));
    (!name.is_empty()).then_some((level, name))
}

/// Indent and text of a list's item.
fn item(line: &str) -> Option<(usize, &str)> {
    let bare = line.trim_start();
    let indent: usize = line[..line.len() - bare.len()]
        .chars()
        .map(|c| if c == '\t' { 4 } else { 1 })
        .sum();
    for mark in ["- ", "* ", "+ ", "• "] {
        if let Some(text) = bare.strip_prefix(mark) {
            return Some((indent, text.trim()));
        }
    }
    let digits = bare.bytes().take_while(u8::is_ascii_digit).count();
    let rest = bare.get(digits..)?;
    if !(1..=4).contains(&digits) {
        return None;
    }
    let text = rest
        .strip_prefix(". ")
        .or_else(|| rest.strip_prefix(") "))?;
    Some((indent, text.trim()))
}

/// The text behind a check box, and whether the box is ticked.
fn unchecked(text: &str) -> (&str, bool) {
    for (mark, done) in [("[ ]", false), ("[x]", true), ("[X]", true)] {
        if let Some(text) = text.strip_prefix(mark) {
            return (text.trim(), done);
        }
    }
    (text, false)
}
