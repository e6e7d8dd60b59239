//! Which workers may take a phase: the labels that it asks for, and the tools that it needs.
//!
//! Invariant (DESIGN rule 11): [`lacks`] is the only judge; the registry refuses a lease by it, and `autopack why`
//! prints it.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::run::RunAggregate;
use autopack_domain::worker::WorkerProfile;

use crate::dispatch::Hold;

/// A label of a run or phase with this beginning asks for a worker's label of the rest of its name.
pub const SELECTOR: &str = "worker.";
/// The run's fact that holds the tools of each phase.
pub const TOOLS_FACT: &str = "phase_tools";
/// How a tool is written among capabilities.
pub const TOOL: &str = "tool:";
/// Workers that an explanation names.
const NAMED: usize = 5;

/// What a job asks of its worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Labels with their values.
    pub labels: BTreeMap<String, String>,
    /// Names of tools.
    pub tools: BTreeSet<String>,
}

impl Need {
    /// Whether every worker will do.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.tools.is_empty()
    }
}

/// What a phase asks for; without one, what the run's other jobs ask for. A phase's label goes before the run's.
pub fn need(run: &RunAggregate, phase: Option<usize>) -> Need {
    let Some(phase) = phase else {
        return need_of(&run.plan.run.labels, &BTreeMap::new());
    };
    let fact = run.run.facts.get(TOOLS_FACT).map_or("", String::as_str);
    Need {
        tools: tools_of(fact, phase),
        ..need_of(&run.plan.run.labels, &run.spec(phase).labels)
    }
}

/// What the labels of a run and of its phase ask for.
pub fn need_of(run: &BTreeMap<String, String>, phase: &BTreeMap<String, String>) -> Need {
    let mut labels = selectors(run);
    labels.extend(selectors(phase));
    Need {
        labels,
        tools: BTreeSet::new(),
    }
}

/// The labels that a map asks of workers.
fn selectors(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let asked = labels
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(SELECTOR)?, value)));
    asked
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

/// What a worker lacks, each in words; empty: it may take the job.
pub fn lacks(
    need: &Need,
    capabilities: &BTreeSet<String>,
    labels: &BTreeMap<String, String>,
) -> Vec<String> {
    let labels = need
        .labels
        .iter()
        .filter(|(name, value)| labels.get(*name) != Some(value))
        .map(|(name, value)| format!("label {name}={value}"));
    let tools = need
        .tools
        .iter()
        .filter(|tool| !capabilities.contains(&format!("{TOOL}{tool}")))
        .map(|tool| format!("tool {tool}"));
    labels.chain(tools).collect()
}

/// Why none of the workers may take the job; `None`: one may.
pub fn hold<'a>(need: &Need, workers: impl IntoIterator<Item = &'a WorkerProfile>) -> Option<Hold> {
    let mut short = Vec::new();
    let mut count = 0_usize;
    for worker in workers {
        let missing = lacks(need, &worker.capabilities, &worker.labels);
        if missing.is_empty() {
            return None;
        }
        count += 1;
        if short.len() < NAMED {
            short.push(format!("{} lacks {}", worker.name, missing.join(", ")));
        }
    }
    let more = count - short.len();
    let facts = if count == 0 {
        "no worker is registered and takes jobs".to_owned()
    } else if more > 0 {
        format!("{}; and {more} more", short.join("; "))
    } else {
        short.join("; ")
    };
    Some(Hold {
        rule: "no_eligible_worker",
        facts,
        remedy: "a worker with these tools and labels registers; `autopack workers` lists them",
    })
}

/// Tools by index of the phase as one short text: `cargo@0-39 cargo,go@40`.
pub fn encode_tools(phases: &BTreeMap<usize, BTreeSet<String>>) -> String {
    let mut ranges: Vec<(String, usize, usize)> = Vec::new();
    for (&phase, tools) in phases.iter().filter(|(_, tools)| !tools.is_empty()) {
        let list = tools.iter().cloned().collect::<Vec<_>>().join(",");
        match ranges.last_mut() {
            Some((known, _, end)) if *known == list && *end + 1 == phase => *end = phase,
            _ => ranges.push((list, phase, phase)),
        }
    }
    let shown = ranges.into_iter().map(|(list, from, to)| {
        if from == to {
            format!("{list}@{from}")
        } else {
            format!("{list}@{from}-{to}")
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The tools of one phase in such a text; what cannot be read asks for nothing.
fn tools_of(text: &str, phase: usize) -> BTreeSet<String> {
    let mut tools = BTreeSet::new();
    for part in text.split_ascii_whitespace() {
        let Some((list, range)) = part.rsplit_once('@') else {
            continue;
        };
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(from), Ok(to)) = (from.parse::<usize>(), to.parse::<usize>())
            && (from..=to).contains(&phase)
        {
            tools.extend(list.split(',').map(str::to_owned));
        }
    }
    tools
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn worker(name: &str, tools: &[&str], labels: &[(&str, &str)]) -> WorkerProfile {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        WorkerProfile {
            name: name.to_owned(),
            capabilities: tools.iter().map(|tool| format!("tool:{tool}")).collect(),
            labels: labels.collect(),
            ..WorkerProfile::default()
        }
    }

    #[test]
    fn tools_of_phases_come_back() {
        let mut phases: BTreeMap<usize, BTreeSet<String>> =
            (0..40).map(|n| (n, set(&["cargo"]))).collect();
        phases.insert(40, set(&["go", "cargo"]));
        phases.insert(41, set(&[]));
        phases.insert(50, set(&["cargo"]));
        let text = encode_tools(&phases);
        assert_eq!(text, "cargo@0-39 cargo,go@40 cargo@50");
        for (phase, tools) in &phases {
            assert_eq!(tools_of(&text, *phase), *tools, "{phase}");
        }
        assert_eq!(tools_of(&text, 45), set(&[]));
        assert_eq!(tools_of("nonsense @ x@y cargo@3-1", 2), set(&[]));
    }

    #[test]
    fn only_a_worker_that_has_everything_may_take_a_job() {
        let labels = [
            ("worker.gpu".to_owned(), "yes".to_owned()),
            ("team".to_owned(), "core".to_owned()),
        ];
        let need = Need {
            labels: selectors(&labels.into()),
            tools: set(&["go"]),
        };
        let plain = worker("a", &["cargo"], &[]);
        let other = worker("b", &["go"], &[("gpu", "no")]);
        let right = worker("c", &["go", "cargo"], &[("gpu", "yes"), ("disk", "ssd")]);
        let held = hold(&need, [&plain, &other]).unwrap();
        assert_eq!(held.rule, "no_eligible_worker");
        assert_eq!(
            held.facts,
            "a lacks label gpu=yes, tool go; b lacks label gpu=yes"
        );
        assert_eq!(hold(&need, [&plain, &other, &right]), None);
        assert!(hold(&Need::default(), []).is_some());
        assert_eq!(hold(&Need::default(), [&plain]), None);
    }
}
