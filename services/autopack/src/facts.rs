//! Facts that are stored with a run, for later comparison.
//!
//! Invariant: no fact holds a secret, and the same plan always gives the same hash.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use autopack_domain::plan::{BuilderSpec, Plan};
use autopack_runtime::{config::environment, switches::Switches};

use crate::output::hex_sha256;

/// Who, with what, from where, with which switches on.
pub(crate) fn facts(switches: Switches, plan: &Plan, plan_path: &Path) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("operator".to_owned(), operator()),
        (
            "client_version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("plan_path".to_owned(), plan_path.display().to_string()),
        (
            "switches".to_owned(),
            switches.on().collect::<Vec<_>>().join(","),
        ),
        ("model_mapping_hash".to_owned(), model_mapping_hash(plan)),
    ])
}

/// `AUTOPACK_OPERATOR`, else user and host.
pub(crate) fn operator() -> String {
    if let Some(operator) = environment("AUTOPACK_OPERATOR") {
        return operator
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
    }
    let user = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| environment(name));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| environment("HOSTNAME"));
    let part = |text: Option<String>| {
        text.map(|t| t.trim().to_owned())
            .filter(|t| !t.is_empty())
            .unwrap_or_else(|| "unknown".to_owned())
    };
    format!("{}@{}", part(user), part(host))
}

/// Which builders and models the plan names, whatever their order.
fn model_mapping_hash(plan: &Plan) -> String {
    let builders: BTreeSet<String> = plan
        .tiers
        .iter()
        .flat_map(|tier| &tier.phases)
        .map(|phase| match &phase.builder {
            Some(BuilderSpec::Model(model)) => format!("model:{}:{}", model.provider, model.model),
            Some(BuilderSpec::Agent(agent)) => format!("agent:{}:{}", agent.adapter, agent.model),
            Some(other) => other.kind().to_owned(),
            None => "none".to_owned(),
        })
        .collect();
    hex_sha256(
        builders
            .into_iter()
            .collect::<Vec<_>>()
            .join("\n")
            .as_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_domain::plan::{ReadOptions, read_plan};

    fn plan(builders: &[&str]) -> Plan {
        let phases: Vec<String> = builders
            .iter()
            .enumerate()
            .map(|(n, builder)| format!("{{ id: P{n}, goal: g, builder: {{ {builder} }} }}"))
            .collect();
        let text = format!(
            "{{ schema: autopack/plan/v1, run: {{ goal: g }}, tiers: [{{ id: T1, phases: [{}] }}] }}",
            phases.join(", ")
        );
        read_plan(&text, &ReadOptions::default()).unwrap().plan
    }

    #[test]
    fn the_hash_knows_kinds_and_models_and_no_order() {
        let a = model_mapping_hash(&plan(&["kind: noop", "kind: model, model: m1"]));
        assert_eq!(
            a,
            model_mapping_hash(&plan(&[
                "kind: model, model: m1",
                "kind: noop",
                "kind: noop"
            ]))
        );
        assert_ne!(
            a,
            model_mapping_hash(&plan(&["kind: noop", "kind: model, model: m2"]))
        );
    }
}
