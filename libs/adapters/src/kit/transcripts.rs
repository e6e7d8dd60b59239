//! The transcripts that are compiled in, each with what it must give.
//!
//! Invariant: a transcript names its origin: `schema`, written by hand from a documented schema, or `recorded`.

use autopack_domain::plan::Adapter;
use autopack_domain::usage::Provenance;

use crate::report::Report;
use crate::usage::{Metered, Tokens};

/// One transcript and what it must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// Its name, such as `success`.
    pub name: &'static str,
    /// Where it comes from.
    pub origin: &'static str,
    /// What the agent printed.
    pub bytes: &'static str,
    /// Name of the claim; `None`: the agent told no end.
    pub claim: Option<&'static str>,
    /// The usage; money is not compared.
    pub usage: Metered,
}

macro_rules! folder {
    ($folder:literal: $($name:literal),+) => {
        (
            include_str!(concat!("../../transcripts/", $folder, "/expected.txt")),
            &[$(($name, include_str!(concat!("../../transcripts/", $folder, "/", $name, ".jsonl")))),+],
        )
    };
}

type Folder = (&'static str, &'static [(&'static str, &'static str)]);

fn folder(adapter: Adapter) -> Folder {
    match adapter {
        Adapter::Claude => {
            folder!("claude": "success", "failure", "killed", "several", "budget_stop", "wrong_key", "rate_limited", "permission_refused",
            "recorded")
        }
        Adapter::Codex => {
            folder!("codex": "success", "failure", "killed", "several", "wrong_model", "tool_failed",
                "recorded")
        }
        Adapter::Gemini => {
            folder!("gemini": "success", "failure", "killed", "several", "turn_limit")
        }
        Adapter::Qwen => folder!("qwen": "success", "failure", "killed", "several"),
        Adapter::Opencode => {
            folder!("opencode": "success", "failure", "killed", "several", "cut_short",
                "recorded")
        }
        Adapter::Aider => folder!("aider": "success", "failure", "killed", "several"),
        Adapter::Goose => folder!("goose": "success", "failure", "killed", "several", "older"),
        Adapter::CursorAgent => {
            folder!("cursor-agent": "success", "failure", "killed", "several", "older")
        }
        Adapter::Acp => folder!("acp": "success", "failure", "killed", "several", "silent"),
        Adapter::Plain => folder!("plain": "success", "failure", "killed", "several"),
    }
}

/// Every transcript of an adapter.
pub fn transcripts(adapter: Adapter) -> Vec<Transcript> {
    let (expected, files) = folder(adapter);
    let read = |&(name, bytes): &(&'static str, &'static str)| {
        let row = expected.lines().find_map(|line| row(name, line));
        let (origin, claim, usage) = row.unwrap_or(("unknown", None, Metered::UNKNOWN));
        Transcript {
            name,
            origin,
            bytes,
            claim,
            usage,
        }
    };
    files.iter().map(read).collect()
}

/// One transcript by its name.
pub fn transcript(adapter: Adapter, name: &str) -> Option<Transcript> {
    transcripts(adapter).into_iter().find(|t| t.name == name)
}

type Row = (&'static str, Option<&'static str>, Metered);

fn row(name: &str, line: &'static str) -> Option<Row> {
    let words: Vec<&'static str> = line.split_ascii_whitespace().collect();
    let [
        named,
        origin,
        claim,
        uncached,
        read,
        write,
        output,
        total,
        provenance,
    ] = words[..]
    else {
        return None;
    };
    let count = |word: &str| word.parse().ok();
    let usage = Metered {
        tokens: Tokens {
            uncached: count(uncached),
            cache_read: count(read),
            cache_write: count(write),
            output: count(output),
        },
        total: count(total)?,
        micros: None,
        provenance: Provenance::parse(provenance)?,
        partial: false,
    };
    (named == name).then_some((origin, Some(claim).filter(|claim| *claim != "-"), usage))
}

/// How a report differs from what a transcript must give; empty: it does not.
pub fn compare(transcript: &Transcript, report: &Report) -> Vec<String> {
    let mut differences = Vec::new();
    let claim = report.claim.as_ref().map(crate::Claim::name);
    if claim != transcript.claim {
        let shown = |claim: Option<&'static str>| claim.unwrap_or("none");
        let (is, should) = (shown(claim), shown(transcript.claim));
        differences.push(format!("the claim is {is} instead of {should}"));
    }
    differences.extend(compare_usage(&transcript.usage, &report.usage));
    differences
}

/// How usage differs from what it must be.
pub(super) fn compare_usage(should: &Metered, is: &Metered) -> Option<String> {
    let same =
        (should.tokens, should.total, should.provenance) == (is.tokens, is.total, is.provenance);
    (!same).then(|| {
        let shown = |m: &Metered| {
            let count = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
            format!(
                "{} {} {} {} = {} {}",
                count(m.tokens.uncached),
                count(m.tokens.cache_read),
                count(m.tokens.cache_write),
                count(m.tokens.output),
                m.total,
                m.provenance
            )
        };
        format!("the usage is {} instead of {}", shown(is), shown(should))
    })
}
