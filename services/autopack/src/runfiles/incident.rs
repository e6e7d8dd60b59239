//! The incident pack of a run that failed: what happened, and everything needed to look into it.
//!
//! Invariant: made for every failed run and for no other; a missing artifact is named in the pack, never an error.

use std::{fmt::Write as _, path::PathBuf};

use autopack_domain::{Cause, ids::is_user_id};
use autopack_wire::{client::Clients, types};

use super::{
    gather::Facts,
    summary::{md, next},
    write::Pack,
};
use crate::{
    output::{json, text::named},
    submit::get_artifact,
    view::{phase_state, run_state},
};

/// Bytes of one artifact in the pack.
const MAX_ARTIFACT: usize = 4 * 1024 * 1024;

/// The pack; `None` for a run that did not fail.
pub(super) async fn pack(clients: &Clients, facts: &Facts) -> Option<Pack> {
    if !run_state(&facts.view.run).starts_with("DONE_FAILED") {
        return None;
    }
    let mut pack = Pack::new();
    let mut notes = Vec::new();
    for phase in failed(facts) {
        for (artifact, file) in [("output", "output.txt"), ("diff", "diff.patch")] {
            let name = format!("phases/{}/{file}", folder(phase));
            let Some(found) = last(facts, phase, artifact) else {
                continue;
            };
            match get_artifact(clients, &found.digest, MAX_ARTIFACT).await {
                Ok(content) => {
                    if found.size > MAX_ARTIFACT as u64 {
                        notes.push(format!("{name} holds the first {MAX_ARTIFACT} of {} bytes; `autopack artifact {}` has all", found.size, found.digest));
                    }
                    pack.insert(PathBuf::from(name), content);
                }
                Err(error) => notes.push(format!("{name} could not be read: {}", error.message)),
            }
        }
    }
    let files: Vec<PathBuf> = pack.keys().cloned().collect();
    let attempts: Vec<_> = facts
        .attempts
        .iter()
        .map(|a| json::attempt(a, facts.phase_id(a.phase)))
        .collect();
    let mut events = String::new();
    for event in &facts.events {
        let _ = writeln!(events, "{}", json::event(event));
    }
    pack.insert(
        "README.md".into(),
        readme(facts, &files, &notes).into_bytes(),
    );
    pack.insert(
        "attempts.json".into(),
        format!("{:#}\n", serde_json::Value::from(attempts)).into_bytes(),
    );
    pack.insert("events.jsonl".into(), events.into_bytes());
    pack.insert("why.txt".into(), why(facts).into_bytes());
    Some(pack)
}

fn failed(facts: &Facts) -> impl Iterator<Item = &types::Phase> {
    facts
        .view
        .ordered()
        .into_iter()
        .filter(|phase| phase_state(phase) == "FAILED")
}

/// Ids of phases are names of folders; what is none goes by its index.
fn folder(phase: &types::Phase) -> String {
    if is_user_id(&phase.id) {
        phase.id.clone()
    } else {
        phase.index.to_string()
    }
}

/// The last artifact of this name.
fn last<'f>(facts: &'f Facts, phase: &types::Phase, name: &str) -> Option<&'f types::ArtifactRef> {
    facts
        .attempts_of(phase)
        .flat_map(|attempt| &attempt.artifacts)
        .filter(|artifact| artifact.name == name)
        .last()
}

fn readme(facts: &Facts, files: &[PathBuf], notes: &[String]) -> String {
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
        let _ = writeln!(
            text,
            "- `{}`: of the last attempt that has one",
            file.display()
        );
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

fn why(facts: &Facts) -> String {
    let mut text = String::new();
    for phase in facts.view.ordered() {
        let _ = write!(text, "{}: {}", phase.id, phase_state(phase));
        if !phase.cause.is_empty() {
            let _ = write!(text, ": {}\n{}", phase.cause, phase.detail);
        }
        text.push('\n');
    }
    for phase in &facts.holds {
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
