//! The plan as text.
//!
//! Invariant: a phase for each group; ids follow the convention of the choices, parent and child unless that says
//! otherwise; every text is quoted, so nothing that was written can become structure.

use std::fmt::Write as _;

use autopack_domain::plan::slug;
use serde_json::{Value, json};

use super::{Brief, Choices, Group, category_of, files_in};

/// Characters of an id that is made from a goal: children add to it.
const ID: usize = 60;
/// Characters of a phase's name.
const NAME: usize = 80;
/// Items from which on a phase is no small one.
const MEDIUM: usize = 4;
/// Items from which on a phase is a large one.
const HIGH: usize = 9;

/// The text of a plan in `autopack/plan/v1`.
pub fn render(brief: &Brief, choices: &Choices) -> String {
    let id = match choices.id.as_str() {
        "" => slug(&brief.goal, ID),
        given => given.to_owned(),
    };
    let id = if id.is_empty() { "run".to_owned() } else { id };
    let tiers = tiers(brief);
    let mut text = format!(
        "# Made by `autopack plan new` from {}. Read it, then: autopack run PLAN --repo DIR\n",
        super::words::plain(&choices.from)
    );
    for note in &brief.notes {
        let _ = writeln!(text, "# note: {}", super::words::plain(note));
    }
    text.push_str("schema: autopack/plan/v1\nrun:\n");
    entry(&mut text, "  ", "id", &json!(id));
    entry(&mut text, "  ", "goal", &json!(brief.goal));
    if !choices.base.is_empty() {
        entry(&mut text, "  ", "base", &json!(choices.base));
    }
    let profile = match choices.safety_profile.as_str() {
        "" => "normal",
        given => given,
    };
    entry(&mut text, "  ", "safety_profile", &json!(profile));
    let scope = if tiers.len() > 1 {
        "multi_tier"
    } else {
        "single_tier"
    };
    entry(&mut text, "  ", "run_scope", &json!(scope));
    match &choices.builder {
        Some(builder) => entry(&mut text, "  ", "default_builder", builder),
        None => text.push_str("  # No builder is named: pass --builder to `autopack run`, or set default_builder here.\n"),
    }
    text.push_str("tiers:\n");
    let all = tiers.iter().map(|(_, groups)| groups.len()).sum();
    let mut number = 0;
    for (index, (name, groups)) in tiers.iter().enumerate() {
        let _ = writeln!(text, "  - id: T{}", index + 1);
        entry(&mut text, "    ", "name", &json!(name));
        text.push_str("    phases:\n");
        for group in groups {
            number += 1;
            phase(
                &mut text,
                &choices.convention.phase_id(&id, number, all),
                group,
            );
        }
    }
    text
}

/// Groups of the same part that follow each other, by the part's name.
fn tiers(brief: &Brief) -> Vec<(String, Vec<&Group>)> {
    let mut tiers: Vec<(String, Vec<&Group>)> = Vec::new();
    for group in brief.groups.iter().filter(|group| !group.items.is_empty()) {
        match tiers.last_mut() {
            Some((part, groups)) if *part == group.part => groups.push(group),
            _ => tiers.push((group.part.clone(), vec![group])),
        }
    }
    for (part, _) in &mut tiers {
        if part.is_empty() {
            "All".clone_into(part);
        }
    }
    tiers
}

fn phase(text: &mut String, id: &str, group: &Group) {
    let first = group.items.first().map_or("", String::as_str);
    let name = if group.name.is_empty() {
        first
    } else {
        &group.name
    };
    let words = format!("{} {}", group.name, group.items.join(" "));
    let files = files_in(&words);
    let _ = writeln!(text, "      - id: {}", json!(id));
    entry(text, "        ", "name", &json!(short(name)));
    entry(text, "        ", "goal", &json!(goal(group)));
    if let Some(category) = category_of(&words) {
        entry(text, "        ", "task_category", &json!(category));
    }
    let complexity = match group.items.len() {
        n if n >= HIGH => "high",
        n if n >= MEDIUM => "medium",
        _ => "low",
    };
    entry(text, "        ", "complexity", &json!(complexity));
    text.push_str("        scope:\n");
    if !files.is_empty() {
        entry(text, "          ", "deliverables", &json!(files));
    }
    entry(
        text,
        "          ",
        "acceptance_criteria",
        &json!(group.items),
    );
}

/// What the phase must achieve: its name and every item.
fn goal(group: &Group) -> String {
    let items = group.items.join("; ");
    if group.name.is_empty() || group.name == items {
        items
    } else {
        format!("{}: {items}", group.name)
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= NAME {
        return text.to_owned();
    }
    let cut: String = text.chars().take(NAME - 1).collect();
    format!("{}…", cut.trim_end())
}

/// A key with a value as JSON, which is YAML.
fn entry(text: &mut String, indent: &str, key: &str, value: &Value) {
    let _ = writeln!(text, "{indent}{key}: {value}");
}
