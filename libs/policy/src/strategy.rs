//! Compiles the strategy of a run from the project's ruleset, its backlog, the safety profile and the plan.
//!
//! Invariant: pure; the result is stored and frozen with the run, and nothing else decides budgets,
//! attempts, gate profile, auditor profile and ageing thresholds (SEMANTICS 4.2, 4.3).

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::{
    Fault,
    plan::{GateProfile, PhaseSpec, Plan, SafetyProfile, category},
    strategy::{PhaseStrategy, Strategy, TierStrategy},
};
use serde::{Deserialize, Serialize};

use crate::{backlog::Thresholds, estimate::estimate};

/// A project's ruleset: what it changes of the built-in category defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruleset {
    /// Changes by task category; `*` stands for every category.
    #[serde(default)]
    pub categories: BTreeMap<String, CategoryRule>,
    /// Runs after which an open minor issue counts as aged, per safety profile.
    #[serde(default)]
    pub aging_runs: BTreeMap<String, u32>,
    /// Tiers after which an open minor issue counts as aged, per safety profile.
    #[serde(default)]
    pub aging_tiers: BTreeMap<String, u32>,
}

/// What a ruleset changes of one category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryRule {
    /// Attempts, 1 to 10.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// Cap on tokens of a phase.
    #[serde(default)]
    pub incident_token_cap: Option<u64>,
    /// `normal` or `strict`.
    #[serde(default)]
    pub gate_profile: Option<String>,
    /// Review focus.
    #[serde(default)]
    pub auditor_profile: Option<String>,
    /// Whether the result lands without a person.
    #[serde(default)]
    pub auto_apply: Option<bool>,
}

/// What the project's backlog says at the creation of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Open minor issues that have aged: each counts as major when it is seen, and takes one of the minor issues that the
    /// run tolerates.
    pub aged: BTreeSet<String>,
}

/// Choices of the caller that stand above category and ruleset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `BACKOFF_SECONDS`; `None`: 5 (SEMANTICS 5.5).
    pub backoff_seconds: Option<u32>,
}

/// Infrastructure failures of a phase before it fails.
const MAX_INFRA: u32 = 3;

/// Reads a ruleset from a JSON tree; every fault at once.
pub fn parse_ruleset(tree: &serde_json::Value) -> Result<Ruleset, Vec<Fault>> {
    let ruleset: Ruleset = serde_json::from_value(tree.clone()).map_err(|e| {
        vec![
            Fault::new("ruleset", e.to_string())
                .allowed(["categories", "aging_runs", "aging_tiers"])
                .example(r#"{"categories": {"docs": {"max_attempts": 2}}}"#),
        ]
    })?;
    let mut faults = Vec::new();
    for (name, rule) in &ruleset.categories {
        let at = |field: &str| format!("categories.{name}.{field}");
        if rule.max_attempts.is_some_and(|n| !(1..=10).contains(&n)) {
            faults.push(Fault::new(at("max_attempts"), "must be 1 to 10").example("3"));
        }
        if rule.incident_token_cap == Some(0) {
            faults.push(Fault::new(at("incident_token_cap"), "must be above 0").example("500000"));
        }
        if let Some(profile) = &rule.gate_profile
            && GateProfile::parse(profile).is_none()
        {
            faults.push(
                Fault::new(
                    at("gate_profile"),
                    format!("`{profile}` is not a gate profile"),
                )
                .allowed(GateProfile::spellings()),
            );
        }
    }
    for (field, map) in [
        ("aging_runs", &ruleset.aging_runs),
        ("aging_tiers", &ruleset.aging_tiers),
    ] {
        for (profile, value) in map {
            if SafetyProfile::parse(profile).is_none() {
                faults.push(
                    Fault::new(format!("{field}.{profile}"), "not a safety profile")
                        .allowed(SafetyProfile::spellings()),
                );
            }
            if *value == 0 {
                faults
                    .push(Fault::new(format!("{field}.{profile}"), "must be above 0").example("3"));
            }
        }
    }
    if faults.is_empty() {
        Ok(ruleset)
    } else {
        Err(faults)
    }
}

/// Compiles the strategy.
pub fn compile(
    ruleset: &Ruleset,
    backlog: &Backlog,
    plan: &Plan,
    overrides: Overrides,
) -> Strategy {
    let profile = plan.run.safety_profile;
    let backoff = overrides.backoff_seconds.unwrap_or(5);
    let phase: Vec<PhaseStrategy> = plan
        .tiers
        .iter()
        .flat_map(|t| &t.phases)
        .map(|p| compile_phase(ruleset, p, backoff))
        .collect();
    let mut first = 0;
    let tier = plan
        .tiers
        .iter()
        .map(|t| {
            let phases = &phase[first..first + t.phases.len()];
            first += t.phases.len();
            let count = u32::try_from(phases.len()).unwrap_or(u32::MAX);
            let attempts: u32 = phases.iter().map(|p| p.max_attempts).sum();
            TierStrategy {
                tokens: t.tokens.unwrap_or_else(|| {
                    phases
                        .iter()
                        .map(|p| p.tokens)
                        .sum::<u64>()
                        .saturating_mul(3)
                }),
                // 2 x phases, but never below the attempts that the same strategy grants.
                ci_runs: t.ci_runs.unwrap_or_else(|| (2 * count).max(attempts)),
                max_minor_issues: if profile == SafetyProfile::SafetyCritical {
                    count
                } else {
                    2 * count
                },
                max_major_issues: 0,
            }
        })
        .collect();
    let aging = Thresholds::of(ruleset, profile);
    let aged = u32::try_from(backlog.aged.len()).unwrap_or(u32::MAX);
    let count = u32::try_from(phase.len()).unwrap_or(u32::MAX);
    Strategy {
        version: "v1".to_owned(),
        safety_profile: profile,
        tokens: plan.run.budgets.tokens,
        phases: plan.run.budgets.phases,
        minutes: plan.run.budgets.minutes,
        max_minor_issues: count.saturating_mul(3).saturating_sub(aged),
        aging_runs: aging.runs,
        aging_tiers: aging.tiers,
        aged: backlog.aged.clone(),
        tier,
        phase,
    }
}

fn compile_phase(ruleset: &Ruleset, spec: &PhaseSpec, backoff_seconds: u32) -> PhaseStrategy {
    let defaults = category(&spec.task_category);
    let rules: Vec<&CategoryRule> = [spec.task_category.as_str(), "*"]
        .iter()
        .filter_map(|name| ruleset.categories.get(*name))
        .collect();
    let rule = |get: fn(&CategoryRule) -> Option<u64>| rules.iter().find_map(|r| get(r));
    let text =
        |get: fn(&CategoryRule) -> Option<&String>| rules.iter().find_map(|r| get(r)).cloned();
    let ruled_attempts =
        rule(|r| r.max_attempts.map(u64::from)).and_then(|n| u32::try_from(n).ok());
    PhaseStrategy {
        max_attempts: spec
            .max_attempts
            .or(ruled_attempts)
            .unwrap_or(defaults.max_builder_attempts),
        max_infra: MAX_INFRA,
        tokens: spec
            .tokens
            .or_else(|| rule(|r| r.incident_token_cap))
            .unwrap_or(defaults.incident_token_cap),
        estimate: estimate(spec),
        backoff_seconds,
        gate_profile: text(|r| r.gate_profile.as_ref())
            .and_then(|p| GateProfile::parse(&p))
            .unwrap_or(spec.gate.profile),
        auditor_profile: text(|r| r.auditor_profile.as_ref())
            .unwrap_or_else(|| defaults.auditor_profile.to_owned()),
        auto_apply: rules
            .iter()
            .find_map(|r| r.auto_apply)
            .unwrap_or(defaults.auto_apply),
    }
}
