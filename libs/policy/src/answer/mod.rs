//! A model's answer as changes of files (SEMANTICS 5.3).
//!
//! Invariant: every path is judged by [`crate::paths`] before anything else is done with it; an answer that is not in
//! the asked form is refused with words that tell the model what to mend, never guessed at.

mod apply;
mod edits;
mod files;
mod lines;

use std::fmt;

use autopack_domain::plan::AnswerForm;
use autopack_domain::submission::Edit;

pub use apply::{Limits, apply};

use crate::paths;

/// The most files that one answer may change.
pub const MAX_FILES: usize = 500;

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is not in the asked form.
    Form(String),
    /// It does not fit the files.
    Misfit(String),
    /// It names a path outside of the repository.
    Escape(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(text) | Self::Misfit(text) | Self::Escape(text) => f.write_str(text),
        }
    }
}

/// One change of a file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes the file; it must not be there.
    Create(String),
    /// Replaces the whole text.
    Write(String),
    /// Removes the file.
    Remove,
    /// Adds text at the end.
    Append(String),
    /// Adds text after the line that holds the anchor; at the end if no line does.
    InsertAfter {
        /// Text of the line.
        anchor: String,
        /// What is added.
        content: String,
    },
    /// Replaces the first occurrence; it must be there.
    Replace {
        /// What stands there.
        old: String,
        /// What stands there afterwards.
        new: String,
    },
    /// Replaces every occurrence; none is no fault.
    ReplaceAll {
        /// What stands there.
        old: String,
        /// What stands there afterwards.
        new: String,
    },
}

/// The changes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Numbered edits, which mean the file as it was.
    Edits(Vec<Edit>),
    /// Steps, one after the other.
    Steps(Vec<Step>),
}

/// An answer, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Files in the order in which the answer names them, each once.
    pub files: Vec<(String, Work)>,
    /// What the model says about it.
    pub summary: String,
    /// Complete operations.
    pub operations: usize,
    /// Operations that it announced; `None`: it said nothing.
    pub announced: Option<usize>,
    /// What was odd and is no fault.
    pub warnings: Vec<String>,
}

impl Answer {
    /// Whether operations are missing that were announced.
    pub fn is_short(&self) -> bool {
        self.announced.is_some_and(|count| self.operations < count)
    }

    fn work(&mut self, path: &str) -> Result<&mut Work, Problem> {
        if let Some(at) = self.files.iter().position(|(known, _)| known == path) {
            return Ok(&mut self.files[at].1);
        }
        if self.files.len() >= MAX_FILES {
            return Err(Problem::Form(format!(
                "more than {MAX_FILES} files; make the phase smaller"
            )));
        }
        self.files.push((path.to_owned(), Work::Steps(Vec::new())));
        let last = self.files.len() - 1;
        Ok(&mut self.files[last].1)
    }

    fn step(&mut self, path: &str, step: Step) -> Result<(), Problem> {
        if let Work::Steps(steps) = self.work(path)? {
            steps.push(step);
        }
        Ok(())
    }

    /// Adds what another answer goes on with.
    pub fn extend(&mut self, more: Self) -> Result<(), Problem> {
        for (path, work) in more.files {
            match (self.work(&path)?, work) {
                (Work::Steps(steps), Work::Steps(more)) => steps.extend(more),
                (Work::Edits(edits), Work::Edits(more)) => edits.extend(more),
                (mine @ Work::Steps(_), edits @ Work::Edits(_)) => *mine = edits,
                (Work::Edits(_), Work::Steps(_)) => {
                    return Err(Problem::Form(format!("{path}: two forms of changes")));
                }
            }
        }
        self.operations += more.operations;
        self.warnings.extend(more.warnings);
        Ok(())
    }
}

/// Reads an answer of this form. `cut`: it broke off, so a form of lines keeps what is complete.
pub fn read(form: AnswerForm, text: &str, cut: bool) -> Result<Answer, Problem> {
    match form {
        AnswerForm::Edits => edits::read(text),
        AnswerForm::Files => files::read(text),
        AnswerForm::Lines | AnswerForm::Auto => lines::read(text, cut),
    }
}

/// The path of an operation, or why it is refused.
fn checked(path: &str) -> Result<&str, Problem> {
    let path = path.strip_prefix("./").unwrap_or(path);
    match paths::check_str(path) {
        Ok(()) => Ok(path),
        Err(fault) => {
            let shown: String = path.chars().take(200).collect();
            Err(Problem::Escape(format!(
                "`{}`: {fault}",
                shown.escape_debug()
            )))
        }
    }
}

/// The one JSON object of a text: alone, in a fenced block, or between words.
fn object(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, Problem> {
    let from = text.find('{');
    let to = text.rfind('}');
    let (Some(from), Some(to)) = (from, to) else {
        return Err(Problem::Form("the answer holds no JSON object".to_owned()));
    };
    if to < from {
        return Err(Problem::Form("the answer holds no JSON object".to_owned()));
    }
    let found = serde_json::from_str(&text[from..=to]);
    found.map_err(|error| Problem::Form(format!("the answer is not one JSON object: {error}")))
}
