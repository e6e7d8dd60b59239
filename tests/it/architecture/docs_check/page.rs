//! Markdown as far as the checks need it: fenced blocks, code spans, links, headings.

use regex::Regex;

use crate::repo::{self, Source};

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) language: String,
    /// What the comment before it says, such as `run`.
    pub(super) mark: Option<String>,
    pub(super) text: String,
    pub(super) line: usize,
}

/// A page, split.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) path: String,
    /// The text without fenced blocks and comments, line by line.
    pub(super) prose: Vec<(usize, String)>,
    pub(super) blocks: Vec<Block>,
}

/// Every page that the checks read.
pub(super) fn all() -> Vec<Page> {
    let places = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"];
    repo::files(&places, &[".md"]).iter().map(split).collect()
}

fn split(source: &Source) -> Page {
    let mut page = Page {
        path: source.path.clone(),
        prose: Vec::new(),
        blocks: Vec::new(),
    };
    let mut mark = None;
    let mut open: Option<Block> = None;
    for (number, line) in source.text.lines().enumerate() {
        let number = number + 1;
        if let Some(mut block) = open.take() {
            if line.trim() == "```" {
                page.blocks.push(block);
            } else {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            continue;
        }
        if let Some(language) = line.trim_start().strip_prefix("```") {
            open = Some(Block {
                language: language.trim().to_owned(),
                mark: mark.take(),
                text: String::new(),
                line: number,
            });
            continue;
        }
        if let Some(comment) = line.trim().strip_prefix("<!--") {
            let comment = comment.trim_end_matches("-->").trim();
            mark = comment
                .strip_prefix("docs-check:")
                .map(|m| m.trim().to_owned());
            continue;
        }
        if !line.trim().is_empty() {
            mark = None;
        }
        page.prose.push((number, line.to_owned()));
    }
    assert!(open.is_none(), "{}: a block is not closed", source.path);
    page
}

impl Page {
    /// Code spans of the prose, with their lines.
    pub(super) fn spans(&self) -> Vec<(usize, String)> {
        let mut spans = Vec::new();
        for (number, line) in &self.prose {
            let mut parts = line.split('`');
            parts.next();
            while let (Some(span), Some(_)) = (parts.next(), parts.next()) {
                spans.push((*number, span.trim().to_owned()));
            }
        }
        spans
    }

    /// Commands of the shell blocks, line by line; continued lines are joined.
    pub(super) fn commands(&self) -> Vec<(usize, String)> {
        let mut commands = Vec::new();
        for block in self.blocks.iter().filter(|b| b.is_shell()) {
            let mut whole = String::new();
            for (offset, line) in block.text.lines().enumerate() {
                let line = line.trim().trim_start_matches("$ ");
                if let Some(part) = line.strip_suffix('\\') {
                    whole.push_str(part);
                    continue;
                }
                whole.push_str(line);
                commands.push((block.line + 1 + offset, std::mem::take(&mut whole)));
            }
        }
        commands
    }

    /// Targets of the links.
    pub(super) fn links(&self) -> Vec<(usize, String)> {
        let link = Regex::new(r"\]\(([^)\s]+)\)").expect("pattern");
        let prose = self.prose.iter();
        prose
            .flat_map(|(number, line)| {
                link.captures_iter(line)
                    .map(|hit| (*number, hit[1].to_owned()))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Anchors of the headings, as GitHub spells them.
    pub(super) fn anchors(&self) -> Vec<String> {
        let headings = self.prose.iter().filter_map(|(_, line)| {
            let title = line.trim_start_matches('#');
            (title.len() < line.len()).then(|| title.trim().to_lowercase())
        });
        headings
            .map(|title| {
                let kept = title
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                kept.collect::<String>().replace(' ', "-")
            })
            .collect()
    }
}

impl Block {
    pub(super) fn is_shell(&self) -> bool {
        ["sh", "bash", "console"].contains(&self.language.as_str())
    }
}
