//! What the other workers can do, where this one that looks at the plan cannot.
//!
//! Invariant: a phase passes if one worker, this one or another, has all tools that it needs; which tools are needed is
//! recorded with the run, so that only such a worker gets the phase.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::Fault;
use autopack_domain::plan::Plan;
use autopack_policy::placement::{TOOL, encode_tools, lacks, need_of};
use autopack_policy::preflight::PreflightFacts;

use crate::ports::Abilities;

/// What was found out.
pub(super) struct Placed {
    /// Tools by which workers are chosen, by index of the phase, as one text.
    pub(super) tools: String,
    /// Phases that this worker cannot execute and another one can.
    pub(super) warnings: Vec<Fault>,
}

/// Forgives what this worker lacks and another one has.
pub(super) fn place(
    plan: &Plan,
    fleet: &[Abilities],
    needed: &BTreeMap<usize, BTreeSet<String>>,
    announced: &BTreeSet<String>,
    facts: &mut PreflightFacts,
) -> Placed {
    // Every worker announces the usual tools; others only where somebody does.
    let told: BTreeSet<&str> = fleet
        .iter()
        .flat_map(|worker| &worker.capabilities)
        .filter_map(|capability| capability.strip_prefix(TOOL))
        .chain(announced.iter().map(String::as_str))
        .collect();
    let mut tools = BTreeMap::new();
    let mut warnings = Vec::new();
    facts.other_workers = fleet.len();
    let phases = plan.tiers.iter().enumerate().flat_map(|(t, tier)| {
        let phases = tier.phases.iter().enumerate();
        phases.map(move |(p, phase)| (format!("tiers[{t}].phases[{p}]"), phase))
    });
    for (index, (at, phase)) in phases.enumerate() {
        let mut wanted = needed.get(&index).cloned().unwrap_or_default();
        wanted.retain(|tool| told.contains(tool.as_str()));
        if let Some(missing) = facts.missing_tools.get(&phase.id).cloned() {
            let mut need = need_of(&plan.run.labels, &phase.labels);
            need.tools.clone_from(&wanted);
            need.tools.extend(missing.iter().cloned());
            let can =
                |worker: &Abilities| lacks(&need, &worker.capabilities, &worker.labels).is_empty();
            if fleet.iter().any(can) {
                facts.missing_tools.remove(&phase.id);
                let problem = format!("only other workers have {}", missing.join(", "));
                warnings.push(Fault::new(at, problem));
            }
        }
        tools.insert(index, wanted);
    }
    Placed {
        tools: encode_tools(&tools),
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_domain::plan::{ReadOptions, read_plan};

    fn worker(tools: &[&str], labels: &[(&str, &str)]) -> Abilities {
        let label = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Abilities {
            capabilities: tools.iter().map(|tool| format!("tool:{tool}")).collect(),
            labels: labels.iter().map(label).collect(),
        }
    }

    fn plan() -> Plan {
        let text = "schema: autopack/plan/v1\nrun: { id: demo, goal: g }\ntiers:\n  - id: T1\n    name: t\n    phases:\n      - { id: A, name: a, goal: a, labels: { worker.zone: b } }\n      - { id: B, name: b, goal: b }\n";
        read_plan(text, &ReadOptions::default()).unwrap().plan
    }

    #[test]
    fn one_worker_must_have_all_that_a_phase_needs() {
        let plan = plan();
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let needed: BTreeMap<usize, BTreeSet<String>> = [
            (0, set(&["go", "sh"])),
            (1, set(&["cargo", "go", "my-agent"])),
        ]
        .into();
        let announced = set(&["cargo", "go"]);
        let lacking = || PreflightFacts {
            missing_tools: [
                ("A".parse().unwrap(), vec!["go".to_owned()]),
                (
                    "B".parse().unwrap(),
                    vec!["go".to_owned(), "my-agent".to_owned()],
                ),
            ]
            .into(),
            ..PreflightFacts::default()
        };
        let mut facts = lacking();
        let placed = place(&plan, &[], &needed, &announced, &mut facts);
        assert_eq!(placed.tools, "go@0 cargo,go@1");
        assert_eq!(facts.missing_tools.len(), 2);
        // Each has a part of what B needs; A's label leads to the second.
        let parts = [
            worker(&["cargo", "go"], &[]),
            worker(&["go", "my-agent"], &[("zone", "b")]),
        ];
        let mut facts = lacking();
        let placed = place(&plan, &parts, &needed, &announced, &mut facts);
        assert_eq!(placed.tools, "go@0 cargo,go,my-agent@1");
        let left: Vec<String> = facts
            .missing_tools
            .keys()
            .map(ToString::to_string)
            .collect();
        assert_eq!(left, ["B"]);
        assert_eq!(placed.warnings.len(), 1);
        assert_eq!(facts.other_workers, 2);
        let whole = [worker(&["cargo", "go", "my-agent"], &[])];
        let mut facts = lacking();
        place(&plan, &whole, &needed, &announced, &mut facts);
        let left: Vec<String> = facts
            .missing_tools
            .keys()
            .map(ToString::to_string)
            .collect();
        assert_eq!(left, ["A"]);
    }
}
