//! What a model is asked: the task, the files it may see, and the form of its answer, within a cap.
//!
//! Invariant: the task and the form always stand there whole; files fill what is left in the order of their rank, and
//! each one that is shortened or left out is told and counted. Files that usually hold secrets are never shown.

mod form;

use std::fmt::Write as _;

use autopack_domain::plan::AnswerForm;

use crate::output::kind::Deliverable;

/// Bytes of text that make a token, roughly.
const BYTES_PER_TOKEN: usize = 4;
/// The most paths in the list of what else there is.
const MAX_LISTED: usize = 300;
/// A file longer than this is shown by its beginning if the whole does not fit.
const HEAD_LINES: usize = 120;

/// How near a file is to the task; the nearest is shown first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It is to be delivered.
    Deliverable,
    /// The scope names it.
    Scope,
    /// The plan asks to read it.
    Context,
    /// The task names it.
    Named,
    /// The scope allows it.
    Allowed,
}

/// A file that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its path.
    pub path: String,
    /// Its text.
    pub text: String,
    /// How near it is.
    pub rank: Rank,
    /// Whether the answer may change it.
    pub writable: bool,
}

/// What a prompt is made from.
#[derive(Clone, Debug)]
pub struct Material<'a> {
    /// The task, with what failed before.
    pub task: &'a str,
    /// The plan's own words for the model.
    pub words: &'a str,
    /// Files, in any order.
    pub files: Vec<Shown>,
    /// Every path of the repository.
    pub paths: &'a [String],
    /// What this answer is asked for; empty: all of the task.
    pub wanted: Vec<String>,
    /// The form of the answer.
    pub form: AnswerForm,
    /// Tokens that the prompt may have.
    pub cap: u64,
}

/// A prompt, and what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Rules of the answer; the same for every phase, so that a provider may cache it.
    pub system: String,
    /// The task and the files.
    pub user: String,
    /// Paths of files that are shown whole.
    pub kept: Vec<String>,
    /// Paths of files of which the beginning is shown.
    pub shortened: Vec<String>,
    /// Paths of files that did not fit.
    pub omitted: Vec<String>,
    /// Tokens, roughly.
    pub tokens: u64,
    /// Tokens that showing everything would have taken besides.
    pub avoided: u64,
}

/// Tokens of a text, roughly.
pub fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}

/// The form of an answer that the plan leaves open.
pub fn form(deliverables: &[Deliverable], longest: usize) -> AnswerForm {
    if deliverables.len() >= 5 {
        AnswerForm::Lines
    } else if longest > 500 {
        AnswerForm::Edits
    } else {
        AnswerForm::Files
    }
}

/// Whether a file is one that usually holds secrets.
pub fn is_private(path: &str) -> bool {
    let name = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let ends = |list: &[&str]| list.iter().any(|end| name.ends_with(end));
    name == ".env"
        || (name.starts_with(".env.") && !ends(&[".example", ".sample", ".template"]))
        || name.starts_with("id_rsa")
        || name.starts_with("id_ed25519")
        || [
            ".netrc",
            ".npmrc",
            ".pypirc",
            "credentials",
            ".git-credentials",
        ]
        .contains(&name.as_str())
        || ends(&[".pem", ".key", ".p12", ".pfx", ".kdbx", ".keystore"])
}

/// Makes the prompt.
pub fn assemble(material: Material<'_>) -> Prompt {
    let mut prompt = Prompt {
        system: form::rules(material.form),
        ..Prompt::default()
    };
    let mut head = material.task.trim_end().to_owned();
    if !material.words.trim().is_empty() {
        let _ = write!(head, "\n\n{}", material.words.trim());
    }
    if !material.wanted.is_empty() {
        head.push_str("\n\n## Wanted in this answer, and nothing else\n\n");
        for path in &material.wanted {
            let _ = writeln!(head, "- {path}");
        }
    }
    let cap = usize::try_from(material.cap).unwrap_or(usize::MAX);
    let cap = cap.saturating_mul(BYTES_PER_TOKEN);
    let mut left = cap.saturating_sub(prompt.system.len() + head.len());
    let listing = listing(material.paths, left / 10);
    left = left.saturating_sub(listing.len());
    let numbered = material.form == AnswerForm::Edits;
    let mut body = String::new();
    let mut files = material.files;
    files.retain(|file| !is_private(&file.path));
    files.sort_by(|a, b| (a.rank, a.text.len(), &a.path).cmp(&(b.rank, b.text.len(), &b.path)));
    let mut all = 0;
    for file in files {
        let whole = section(&file, numbered, usize::MAX);
        all += whole.len();
        if whole.len() <= left {
            left -= whole.len();
            body.push_str(&whole);
            prompt.kept.push(file.path);
            continue;
        }
        let short = section(&file, numbered, HEAD_LINES);
        if short.len() < whole.len() && short.len() <= left {
            left -= short.len();
            body.push_str(&short);
            prompt.shortened.push(file.path);
        } else {
            prompt.omitted.push(file.path);
        }
    }
    prompt.avoided = tokens(all.saturating_sub(body.len()));
    let asked =
        "\n\n## Answer\n\nAnswer in the form that the rules ask for, and with nothing else.\n";
    prompt.user = format!("{head}{listing}{body}{asked}");
    prompt.tokens = tokens(prompt.system.len() + prompt.user.len());
    prompt
}

fn listing(paths: &[String], room: usize) -> String {
    let mut text = String::new();
    for (n, path) in paths.iter().enumerate() {
        if n >= MAX_LISTED || text.len() + path.len() + 3 > room {
            let _ = writeln!(text, "- and {} more", paths.len() - n);
            break;
        }
        let _ = writeln!(text, "- {path}");
    }
    if text.is_empty() {
        return text;
    }
    format!("\n\n## Files of the repository\n\n{text}")
}

fn section(file: &Shown, numbered: bool, most: usize) -> String {
    let note = if file.writable { "" } else { " (to read only)" };
    let mut text = format!("\n## File `{}`{note}\n\n", file.path);
    let count = file.text.lines().count();
    let fence = fence(&file.text);
    let _ = writeln!(text, "{fence}");
    for (n, line) in file.text.lines().take(most).enumerate() {
        if numbered {
            let _ = write!(text, "{:>5} ", n + 1);
        }
        text.push_str(line);
        text.push('\n');
    }
    let _ = writeln!(text, "{fence}");
    if count > most {
        let _ = writeln!(text, "The other {} lines are left out.", count - most);
    }
    text
}

/// Longer than any run of backticks in the text, so that a file cannot end its own block.
fn fence(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for byte in text.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat((longest + 1).max(3))
}
