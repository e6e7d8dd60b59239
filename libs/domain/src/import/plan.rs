//! The plan that a run of the past was, for the record.
//!
//! Invariant: every phase stands in one tier of its run; nothing names a builder or a gate, so nothing of it could be
//! carried out. Words that the closed lists do not know stay as labels beside the default.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{HistoricalPhase, HistoricalRun, check::MAX_COUNT};
use crate::{
    ids::{PhaseId, TierId},
    plan::{
        Complexity, GateProfile, GateSpec, LimitSpec, PhaseSpec, Plan, RunBudgets, RunScope,
        RunSpec, SCHEMA_V1, SafetyProfile, ScopeSpec, TestRules, TierSpec, category,
    },
};

/// The tier of phases whose own is not there.
pub const STAND_IN: &str = "without-tier";
/// Characters of a label at most.
const MAX_LABEL: usize = 500;

/// Where each phase of the value stands in the plan: tier, place, and index in the value, in plan order.
pub type Places = Vec<(usize, usize, usize)>;

impl HistoricalRun {
    /// The plan, and where its phases come from. For a run that [`HistoricalRun::check`] found sound; a phase whose id is
    /// none is left out.
    pub fn plan(&self, project: &str) -> (Plan, Places) {
        let mut order: Vec<usize> = (0..self.tiers.len()).collect();
        order.sort_by_key(|&t| (self.tiers[t].index, t));
        let mut tiers: Vec<TierSpec> = Vec::new();
        for &t in &order {
            let tier = &self.tiers[t];
            let Ok(id) = tier.id.parse::<TierId>() else {
                continue;
            };
            tiers.push(TierSpec {
                id,
                name: or(&tier.name, &tier.id),
                description: tier.description.clone(),
                tokens: tier.tokens.map(unsigned).filter(|&n| n > 0),
                ci_runs: None,
                phases: Vec::new(),
            });
        }
        let mut phases: Vec<usize> = (0..self.phases.len()).collect();
        phases.sort_by_key(|&p| (self.phases[p].index, p));
        let mut stand_in = None;
        let mut homes: Vec<Vec<usize>> = vec![Vec::new(); tiers.len()];
        for p in phases {
            let named = self.phases[p].tier.as_deref();
            let found = tiers.iter().position(|t| named == Some(t.id.as_str()));
            let home = found.or(stand_in).or_else(|| {
                let tier = stand_in_tier(&tiers)?;
                tiers.push(tier);
                homes.push(Vec::new());
                stand_in = Some(tiers.len() - 1);
                stand_in
            });
            homes.extend((homes.len()..tiers.len()).map(|_| Vec::new()));
            if let Some(home) = home {
                homes[home].push(p);
            }
        }
        let mut places = Places::new();
        for (t, home) in homes.into_iter().enumerate() {
            for p in home {
                if let Some(spec) = spec(&self.phases[p]) {
                    places.push((t, tiers[t].phases.len(), p));
                    tiers[t].phases.push(spec);
                }
            }
        }
        let plan = Plan {
            schema: SCHEMA_V1.to_owned(),
            run: self.spec(project),
            tiers,
        };
        (plan, places)
    }

    fn spec(&self, project: &str) -> RunSpec {
        let mut labels = BTreeMap::new();
        let safety = SafetyProfile::parse(&self.safety_profile.to_ascii_lowercase());
        keep(
            &mut labels,
            "safety_profile",
            &self.safety_profile,
            safety.is_some(),
        );
        let scope = RunScope::parse(&self.run_scope.to_ascii_lowercase());
        keep(&mut labels, "run_scope", &self.run_scope, scope.is_some());
        let small = |n: Option<i64>, default: u32| match n {
            Some(n) if n > 0 => u32::try_from(n).unwrap_or(u32::MAX),
            _ => default,
        };
        let count = u32::try_from(self.phases.len()).unwrap_or(u32::MAX);
        RunSpec {
            id: self.id.parse().ok(),
            project: project.to_owned(),
            goal: or(&self.goal, &format!("Run {}", self.id)),
            base: "HEAD".to_owned(),
            safety_profile: safety.unwrap_or(SafetyProfile::Normal),
            run_scope: scope.unwrap_or(RunScope::MultiTier),
            budgets: RunBudgets {
                tokens: self
                    .budgets
                    .tokens
                    .map(unsigned)
                    .filter(|&n| n > 0)
                    .unwrap_or(5_000_000),
                phases: small(self.budgets.phases, count.max(25)),
                minutes: small(self.budgets.minutes, 120),
            },
            priority: 5,
            labels,
        }
    }
}

fn stand_in_tier(tiers: &[TierSpec]) -> Option<TierSpec> {
    // One of so many names is free.
    let name = |n: usize| match n {
        0 => STAND_IN.to_owned(),
        n => format!("{STAND_IN}-{n}"),
    };
    let free = (0..=tiers.len())
        .map(name)
        .find(|name| tiers.iter().all(|t| t.id.as_str() != name))?;
    Some(TierSpec {
        id: free.parse().ok()?,
        name: "Phases whose tier is not there".to_owned(),
        description: "Made by the import.".to_owned(),
        tokens: None,
        ci_runs: None,
        phases: Vec::new(),
    })
}

fn spec(phase: &HistoricalPhase) -> Option<PhaseSpec> {
    let id: PhaseId = phase.id.parse().ok()?;
    let mut labels = BTreeMap::new();
    let defaults = category(&phase.task_category);
    let complexity = Complexity::parse(&phase.complexity.to_ascii_lowercase());
    keep(
        &mut labels,
        "complexity",
        &phase.complexity,
        complexity.is_some(),
    );
    let name = or(&phase.name, &phase.id);
    let (goal, scope) = scope(&phase.scope);
    let goals = [goal.as_str(), &phase.description, &name];
    let goal = goals.into_iter().find(|text| !text.trim().is_empty());
    let goal = goal.unwrap_or(&phase.id).to_owned();
    Some(PhaseSpec {
        id,
        goal,
        name,
        description: phase.description.clone(),
        task_category: phase.task_category.clone(),
        complexity: complexity.unwrap_or(defaults.complexity),
        builder_mode: or(&phase.builder_mode, "tweak_light"),
        depends_on: Vec::new(),
        scope,
        builder: None,
        allow_noop: false,
        gate: GateSpec {
            profile: GateProfile::Normal,
            setup: Vec::new(),
            steps: Some(Vec::new()),
            tests: TestRules::default(),
        },
        max_attempts: None,
        tokens: None,
        limits: LimitSpec::default(),
        priority: None,
        labels,
    })
}

/// Goal and paths of a stored scope, as far as it has the known form; the text itself is kept with the run.
fn scope(text: &str) -> (String, ScopeSpec) {
    let mut spec = ScopeSpec::default();
    let value = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(map)) => map,
        Ok(Value::String(goal)) => return (goal, spec),
        _ => return (String::new(), spec),
    };
    let list = |key: &str| -> Option<Vec<String>> {
        let items = value.get(key)?.as_array()?;
        let texts: Vec<String> = items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        (texts.len() == items.len()).then_some(texts)
    };
    spec.paths = list("paths");
    spec.protected_paths = list("protected_paths").unwrap_or_default();
    spec.deliverables = list("deliverables").unwrap_or_default();
    spec.acceptance_criteria = list("acceptance_criteria").unwrap_or_default();
    let goal = value
        .get("goal")
        .and_then(Value::as_str)
        .unwrap_or_default();
    (goal.to_owned(), spec)
}

/// A word that is in no closed list stays as a label.
fn keep(labels: &mut BTreeMap<String, String>, name: &str, word: &str, known: bool) {
    if !known && !word.is_empty() {
        let word = word.chars().take(MAX_LABEL).collect();
        labels.insert(format!("imported_{name}"), word);
    }
}

fn or(text: &str, default: &str) -> String {
    if text.trim().is_empty() {
        default.to_owned()
    } else {
        text.to_owned()
    }
}

/// A count that was checked.
pub(crate) fn unsigned(n: i64) -> u64 {
    u64::try_from(n.clamp(0, MAX_COUNT)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::HistoricalTier;
    use super::*;

    #[test]
    fn phases_stand_in_their_tiers_and_those_without_one_in_a_tier_of_their_own() {
        let phase = |id: &str, tier: Option<&str>, index| HistoricalPhase {
            id: id.into(),
            tier: tier.map(Into::into),
            index,
            complexity: "MEDIUM-HIGH".into(),
            scope: r#"{"paths":["src/"],"goal":"g","deliverables":{"a":1}}"#.into(),
            ..HistoricalPhase::default()
        };
        let tier = |id: &str, index| HistoricalTier {
            id: id.into(),
            index,
            ..HistoricalTier::default()
        };
        let run = HistoricalRun {
            id: "r".into(),
            tiers: vec![tier("T2", 1), tier("T1", 0), tier(STAND_IN, 2)],
            phases: vec![
                phase("b", Some("T1"), 1),
                phase("c", Some("T9"), 0),
                phase("a", Some("T1"), 0),
                phase("d", None, 1),
            ],
            ..HistoricalRun::default()
        };
        let (plan, places) = run.plan("p");
        let shape: Vec<(String, Vec<String>)> = plan
            .tiers
            .iter()
            .map(|t| {
                (
                    t.id.to_string(),
                    t.phases.iter().map(|p| p.id.to_string()).collect(),
                )
            })
            .collect();
        let want = [
            ("T1", vec!["a", "b"]),
            ("T2", vec![]),
            (STAND_IN, vec![]),
            ("without-tier-1", vec!["c", "d"]),
        ];
        let want: Vec<(String, Vec<String>)> = want
            .into_iter()
            .map(|(id, ps)| (id.to_owned(), ps.into_iter().map(str::to_owned).collect()))
            .collect();
        assert_eq!(shape, want);
        assert_eq!(places, [(0, 0, 2), (0, 1, 0), (3, 0, 1), (3, 1, 3)]);
        let first = &plan.tiers[0].phases[0];
        assert_eq!(first.goal, "g");
        assert_eq!(first.scope.paths.as_deref(), Some(&["src/".to_owned()][..]));
        assert_eq!(first.complexity, Complexity::Medium);
        assert_eq!(first.labels["imported_complexity"], "MEDIUM-HIGH");
        assert!(first.builder.is_none());
    }
}
