//! The plan: header, run and tiers. Phases are in `plan_phase`.

use autopack_domain::{
    Fault,
    plan::{Plan, RunBudgets, RunScope, RunSpec, SCHEMA_V1, SafetyProfile, TierSpec},
};

use super::at::{At, Decode};
use crate::types;

impl From<&Plan> for types::Plan {
    fn from(plan: &Plan) -> Self {
        Self {
            schema: plan.schema.clone(),
            run: Some((&plan.run).into()),
            tiers: plan.tiers.iter().map(Into::into).collect(),
        }
    }
}

impl Decode<types::Plan> for Plan {
    fn decode(message: types::Plan, at: &At<'_>) -> Option<Self> {
        let schema_at = at.field("schema");
        let schema = if message.schema == SCHEMA_V1 {
            Some(message.schema)
        } else {
            schema_at
                .refuse(Fault::new(schema_at.path(), "is not a known schema").allowed([SCHEMA_V1]))
        };
        let run = at.field("run").message(message.run);
        let tiers = at.field("tiers").list(message.tiers);
        Some(Self {
            schema: schema?,
            run: run?,
            tiers: tiers?,
        })
    }
}

impl From<&RunSpec> for types::RunSpec {
    fn from(run: &RunSpec) -> Self {
        Self {
            id: run
                .id
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            project: run.project.clone(),
            goal: run.goal.clone(),
            base: run.base.clone(),
            safety_profile: run.safety_profile.as_str().to_owned(),
            run_scope: run.run_scope.as_str().to_owned(),
            budget_tokens: run.budgets.tokens,
            budget_phases: run.budgets.phases,
            budget_minutes: run.budgets.minutes,
            priority: u32::from(run.priority),
            labels: run.labels.clone().into_iter().collect(),
        }
    }
}

impl Decode<types::RunSpec> for RunSpec {
    fn decode(message: types::RunSpec, at: &At<'_>) -> Option<Self> {
        let id = at.field("id").parse_optional(&message.id);
        let safety_profile = at.field("safety_profile").word(
            &message.safety_profile,
            SafetyProfile::parse,
            SafetyProfile::spellings,
        );
        let run_scope =
            at.field("run_scope")
                .word(&message.run_scope, RunScope::parse, RunScope::spellings);
        let priority = at.field("priority").priority(message.priority);
        Some(Self {
            id: id?,
            project: message.project,
            goal: message.goal,
            base: message.base,
            safety_profile: safety_profile?,
            run_scope: run_scope?,
            budgets: RunBudgets {
                tokens: message.budget_tokens,
                phases: message.budget_phases,
                minutes: message.budget_minutes,
            },
            priority: priority?,
            labels: message.labels.into_iter().collect(),
        })
    }
}

impl From<&TierSpec> for types::TierSpec {
    fn from(tier: &TierSpec) -> Self {
        Self {
            id: tier.id.to_string(),
            name: tier.name.clone(),
            description: tier.description.clone(),
            tokens: tier.tokens,
            ci_runs: tier.ci_runs,
            phases: tier.phases.iter().map(Into::into).collect(),
        }
    }
}

impl Decode<types::TierSpec> for TierSpec {
    fn decode(message: types::TierSpec, at: &At<'_>) -> Option<Self> {
        let id = at.field("id").parse(&message.id);
        let phases = at.field("phases").list(message.phases);
        Some(Self {
            id: id?,
            name: message.name,
            description: message.description,
            tokens: message.tokens,
            ci_runs: message.ci_runs,
            phases: phases?,
        })
    }
}

super::try_from_proto!(types::Plan => Plan);
