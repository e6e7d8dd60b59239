//! From what a person wrote down to a plan: a goal and a list, or Markdown.
//!
//! Invariant: nothing is guessed in silence. What the text does not say is left to the plan's own defaults, what was left
//! out of the plan is a note, and the text that comes out is `autopack/plan/v1`, to be read back before it is used.
//!
//! - [`markdown`]: headings and lists to groups of deliverables
//! - `words`: category, files and anchor from the words of a text
//! - `render`: the plan as text

pub mod markdown;
mod render;
mod words;

pub use markdown::read_markdown;
pub use render::render;
pub use words::{anchor, category_of, files_in};

use autopack_domain::Fault;

use crate::id_convention::Convention;

/// What somebody wants built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brief {
    /// The goal of the run, one sentence.
    pub goal: String,
    /// What is to be delivered; each group becomes a phase.
    pub groups: Vec<Group>,
    /// What was read and left out, for people.
    pub notes: Vec<String>,
}

/// Deliverables that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The part that the group belongs to; becomes a tier. Empty: the only one.
    pub part: String,
    /// Its name; empty: taken from the first item.
    pub name: String,
    /// What is to be delivered, in words.
    pub items: Vec<String>,
}

/// What the caller adds to a brief.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Id of the run; empty: a slug of the goal.
    pub id: String,
    /// Branch, tag or commit to start from; empty: left out.
    pub base: String,
    /// `normal` or `safety_critical`; empty: `normal`.
    pub safety_profile: String,
    /// Builder of every phase, in the plan's form; `None`: left out.
    pub builder: Option<serde_json::Value>,
    /// Where the brief came from, for the first line.
    pub from: String,
    /// How phases are named beside their run.
    pub convention: Convention,
}

impl Brief {
    /// A goal and a list: each item becomes a phase.
    pub fn of_list<S: AsRef<str>>(goal: &str, items: impl IntoIterator<Item = S>) -> Self {
        let items = items.into_iter().map(|item| words::plain(item.as_ref()));
        let group = |item| Group {
            items: vec![item],
            ..Group::default()
        };
        Self {
            goal: words::anchor(goal),
            groups: items.filter(|item| !item.is_empty()).map(group).collect(),
            notes: Vec::new(),
        }
    }

    /// Reads a text: Markdown if it has headings or lists, else a goal in its first line and an item in each other one.
    pub fn read(text: &str) -> Self {
        let brief = read_markdown(text);
        let has_marks = |line: &str| {
            ["#", "```", "~~~", "- ", "* "]
                .iter()
                .any(|m| line.starts_with(m))
        };
        if !brief.groups.is_empty() || text.lines().any(|line| has_marks(line.trim())) {
            return brief;
        }
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let goal = lines.next().unwrap_or_default();
        Self::of_list(goal, lines)
    }

    /// Everything that keeps it from becoming a plan.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.goal.trim().is_empty() {
            let text = "is missing: what should be true when the run has ended?";
            faults.push(Fault::new("goal", text).example("Durations are parsed and documented"));
        }
        if self.groups.iter().all(|group| group.items.is_empty()) {
            let text = "names nothing to deliver: no list, no heading with a text below it";
            faults
                .push(Fault::new("deliverables", text).example("- Parse durations in src/time.rs"));
        }
        faults
    }
}
