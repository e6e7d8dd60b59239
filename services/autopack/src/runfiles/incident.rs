//! The incident pack of a run that failed: what happened, and everything needed to look into it.
//!
//! Invariant: made for every failed run and for no other; a missing artifact is named in the pack, never an error.

use std::{fmt::Write as _, path::Path};

use autopack_domain::Cause;
use autopack_wire::types;

use super::{
    gather::{Facts, Failure, MAX_ARTIFACT},
    names::name,
    summary::{md, next},
    write::Pack,
};
use crate::{
    output::{json, text::named},
    view::{phase_state, run_state},
};

/// Bytes of all artifacts of a pack.
const MAX_ALL: u64 = 64 << 20;

/// The artifacts that belong into the pack, with their phase and file; those beyond the bound are left out.
pub(super) fn wanted(facts: &Facts) -> Vec<(&types::ArtifactRef, &types::Phase, &'static str)> {
    let mut size = 0;
    let mut wanted = Vec::new();
    for phase in failed(facts) {
        for (artifact, file) in [("output", "output.txt"), ("diff", "diff.patch")] {
            if let Some(found) = last(facts, phase, artifact) {
                size += found.size.min(MAX_ARTIFACT as u64);
                if size <= MAX_ALL {
                    wanted.push((found, phase, file));
                }
            }
        }
    }
    wanted
}

/// The pack's files, in the folder `incident`; none for a run that did not fail.
pub(super) fn pack(facts: &Facts, pack: &mut Pack) {
    let Some(failure) = &facts.failure else {
        return;
    };
    let folder = Path::new("incident");
    let mut files = Vec::new();
    let mut notes = Vec::new();
    for (found, phase, file) in wanted(facts) {
        let file = format!("phases/{}/{file}", name(&phase.id));
        match failure.artifacts.get(&found.digest) {
            Some(Ok(content)) => {
                if found.size > content.len() as u64 {
                    notes.push(format!(
                        "{file} holds the first {} of {} bytes; `autopack artifact {}` has all",
                        content.len(),
                        found.size,
                        found.digest
                    ));
                }
                pack.insert(folder.join(&file), content.clone());
                files.push(file);
            }
            Some(Err(error)) => notes.push(format!("{file} could not be read: {error}")),
            None => notes.push(format!("{file} was not asked for")),
        }
    }
    let attempts: Vec<_> = facts
        .attempts
        .iter()
        .map(|a| json::attempt(a, facts.phase_id(a.phase)))
        .collect();
    let attempts = format!("{:#}\n", serde_json::Value::from(attempts));
    let mut events = String::new();
    for event in &failure.events {
        let _ = writeln!(events, "{}", json::event(event));
    }
    for (file, content) in [
        ("README.md", readme(facts, &files, &notes)),
        ("attempts.json", attempts),
        ("events.jsonl", events),
        ("why.txt", why(facts, failure)),
    ] {
        pack.insert(folder.join(file), content.into_bytes());
    }
}

fn failed(facts: &Facts) -> impl Iterator<Item = &types::Phase> {
    facts
        .view
        .ordered()
        .into_iter()
        .filter(|phase| phase_state(phase) == "FAILED")
}

/// The last artifact of this name.
fn last<'f>(facts: &'f Facts, phase: &types::Phase, name: &str) -> Option<&'f types::ArtifactRef> {
    facts
        .attempts_of(phase)
        .flat_map(|attempt| &attempt.artifacts)
        .filter(|artifact| artifact.name == name)
        .last()
}

fn readme(facts: &Facts, files: &[String], notes: &[String]) -> String {
    let run = &facts.view.run;
    let mut text = format!(
        "# Incident: run {} ended {}\n\n## What happened\n\n",
        run.id,
        run_state(run)
    );
    text.push_str(&cause(&run.cause, &run.detail, &run.id, ""));
    for phase in failed(facts) {
        let name = facts
            .view
            .spec(phase)
            .map_or_else(String::new, |spec| format!(": {}", md(&spec.name)));
        let _ = write!(text, "\n## Phase {}{name}\n\n", phase.id);
        let _ = writeln!(
            text,
            "- tier {}, {} attempts, {} of them charged",
            facts.view.tier_id(phase),
            phase.attempts_made,
            phase.attempts_charged
        );
        text.push_str(&cause(&phase.cause, &phase.detail, &run.id, &phase.id));
        for attempt in facts.attempts_of(phase) {
            let _ = writeln!(
                text,
                "- attempt {}: {} {}",
                attempt.number,
                crate::view::attempt_state(attempt),
                attempt.cause
            );
        }
        text.push_str(&rest(&phase.detail));
    }
    let skipped: Vec<&str> = facts
        .view
        .ordered()
        .into_iter()
        .filter(|p| phase_state(p) == "SKIPPED")
        .map(|p| p.id.as_str())
        .collect();
    if !skipped.is_empty() {
        let _ = write!(text, "\n## Skipped\n\n{}\n", skipped.join(", "));
    }
    text.push_str("\n## Next\n\n");
    for (command, why) in next(facts) {
        let _ = writeln!(text, "- `{command}`: {why}");
    }
    text.push_str("\n## Files\n\n- `attempts.json`: every attempt\n- `events.jsonl`: what happened, in order (the first event, the creation, is left out)\n- `why.txt`: causes, and the rules that held phases back\n");
    for file in files {
        let _ = writeln!(text, "- `{file}`: of the last attempt that has one");
    }
    for note in notes {
        let _ = writeln!(text, "- {}", md(note));
    }
    text
}

fn cause(code: &str, detail: &str, run: &str, phase: &str) -> String {
    let mut text = format!("- **{code}:** {}\n", md(detail));
    if let Some(cause) = Cause::parse(code) {
        let _ = writeln!(text, "- {}", cause.text());
        let _ = writeln!(text, "- {}", named(cause.remedy(), run, phase));
    }
    text
}

/// More lines of a foreign text as code: indented, so that nothing in it can end the block.
fn rest(detail: &str) -> String {
    let mut text = String::new();
    for line in detail.lines().skip(1).take(40) {
        let line: String = line
            .chars()
            .filter(|c| *c == '\t' || !c.is_control())
            .take(400)
            .collect();
        let _ = writeln!(text, "    {line}");
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

fn why(facts: &Facts, failure: &Failure) -> String {
    let mut text = String::new();
    for phase in facts.view.ordered() {
        let _ = write!(text, "{}: {}", phase.id, phase_state(phase));
        if !phase.cause.is_empty() {
            let _ = write!(text, ": {}\n{}", phase.cause, phase.detail);
        }
        text.push('\n');
    }
    for phase in &failure.holds {
        for hold in &phase.holds {
            let _ = writeln!(
                text,
                "{}: {}: {}; {}",
                phase.phase_id, hold.rule, hold.facts, hold.remedy
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_names_phase_cause_remedy_and_next_command() {
        let mut facts = Facts::default();
        let run = &mut facts.view.run;
        run.id = "demo".to_owned();
        run.state = types::run::State::DoneFailedRequiresHumanReview.into();
        run.cause = "GATE_FAILED".to_owned();
        facts.view.phases.push(types::Phase {
            id: "P1".to_owned(),
            state: types::phase::State::Failed.into(),
            cause: "GATE_FAILED".to_owned(),
            detail: "2 tests failed\n# no heading".to_owned(),
            ..types::Phase::default()
        });
        let text = readme(&facts, &[], &[]);
        for part in [
            "ended DONE_FAILED_REQUIRES_HUMAN_REVIEW",
            "## Phase P1",
            "\n    # no heading\n",
            "autopack retry demo P1`",
            "autopack explain GATE_FAILED`",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
