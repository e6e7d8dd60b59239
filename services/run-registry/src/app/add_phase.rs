//! `AddPhase`: one more phase, validated exactly like a plan.
//!
//! The phase is read as part of the whole plan, so that ids, `depends_on` and scope are checked by the same
//! code; only then the domain decides.

use std::{collections::BTreeMap, sync::Arc};

use autopack_domain::{
    Fault, Reason, Refusal, RunUid,
    phase::Phase,
    plan::{PhaseSpec, Plan, ReadOptions, parse_document, read_plan},
    run::Run,
};
use autopack_policy::strategy::{Backlog, Overrides, compile};

use super::{Core, create_run::NewRunRequest, request_key, write_refusal};

impl Core {
    /// Adds a phase to a run that has not ended.
    pub async fn add_phase(
        &self,
        run: RunUid,
        request_id: &str,
        tier: &str,
        document: &str,
        files: BTreeMap<String, String>,
    ) -> Result<(Run, Phase), Refusal> {
        let invalid = |faults| Refusal::invalid(Reason::PlanInvalid, faults);
        let tree = parse_document(document, "phase").map_err(|fault| invalid(vec![fault]))?;
        let (record, plan) = self
            .writer
            .read(run, |a| (a.run.clone(), Arc::clone(&a.plan)))
            .await
            .map_err(write_refusal)?;
        let Some(at) = plan.tiers.iter().position(|t| t.id.as_str() == tier) else {
            let fault = Fault::new("tier_id", format!("the run has no tier `{tier}`"))
                .allowed(plan.tiers.iter().map(|t| t.id.to_string()));
            return Err(invalid(vec![fault]));
        };
        let added = read_one(&plan, at, &tree).map_err(invalid)?;
        let mut grown = Plan::clone(&plan);
        grown.tiers[at].phases.push(added.clone());
        let request = NewRunRequest {
            files,
            ..NewRunRequest::default()
        };
        let mut only = Plan {
            tiers: vec![autopack_domain::plan::TierSpec {
                phases: vec![added],
                ..grown.tiers[at].clone()
            }],
            ..grown.clone()
        };
        self.fill_digests(&mut only, &request).await?;
        let added = only.tiers[0].phases.remove(0);
        let last = grown.tiers[at].phases.len() - 1;
        grown.tiers[at].phases[last] = added.clone();
        let ruleset = self.ruleset(&record.project).await?;
        let key = request_key(
            request_id,
            "AddPhase",
            &format!("{run}\n{tier}\n{document}"),
        )?;
        let grown = Arc::new(grown);
        let id = added.id.clone();
        let after = self
            .command(run, key, move |a, c, now| {
                if a.plan.tiers[at].phases.len() + 1 != grown.tiers[at].phases.len() {
                    return Err(Refusal::new(
                        Reason::VersionConflict,
                        "another phase was added meanwhile; send the request again",
                    ));
                }
                let backoff = a.strategy.phase.first().map(|p| p.backoff_seconds);
                let mut strategy = compile(
                    &ruleset,
                    &Backlog::default(),
                    &grown,
                    Overrides {
                        backoff_seconds: backoff,
                    },
                );
                // What is frozen stays: only the added phase gets limits from now.
                let before: usize = grown.tiers[..at].iter().map(|t| t.phases.len()).sum();
                let fresh = strategy.phase[before + last].clone();
                strategy = autopack_domain::strategy::Strategy::clone(&a.strategy);
                strategy.phase.insert(before + last, fresh);
                a.add_phase(at, &added, Arc::clone(&grown), Arc::new(strategy), now, c)
                    .map(drop)
            })
            .await?;
        let phase = self
            .writer
            .read(run, move |a| a.phases.iter().find(|p| p.id == id).cloned())
            .await
            .map_err(write_refusal)?
            .ok_or_else(|| Refusal::new(Reason::PhaseNotFound, "the phase is gone"))?;
        Ok((after, phase))
    }
}

/// Reads the phase as if the plan had been written with it: the other phases stand in as `noop`s of the same
/// ids, so that references resolve.
fn read_one(plan: &Plan, tier: usize, phase: &serde_json::Value) -> Result<PhaseSpec, Vec<Fault>> {
    use serde_json::json;
    let mut tiers: Vec<serde_json::Value> = plan
        .tiers
        .iter()
        .map(|t| {
            let phases: Vec<_> = t
                .phases
                .iter()
                .map(|p| json!({"id": p.id, "name": p.name, "goal": "stands in", "depends_on": [], "builder": {"kind": "noop"}}))
                .collect();
            json!({"id": t.id, "name": t.name, "phases": phases})
        })
        .collect();
    if let Some(list) = tiers[tier]["phases"].as_array_mut() {
        list.push(phase.clone());
    }
    let whole = json!({"schema": autopack_domain::plan::SCHEMA_V1, "run": {"goal": "stands in"}, "tiers": tiers});
    let read = read_plan(&whole.to_string(), &ReadOptions::default())?;
    let added = read.plan.tiers[tier]
        .phases
        .last()
        .cloned()
        .ok_or_else(|| vec![Fault::new("", "no phase was given")])?;
    if added.builder.is_none() {
        return Err(vec![
            Fault::new("builder", "no builder is named")
                .example("{ kind: command, run: \"./build.sh\" }"),
        ]);
    }
    Ok(added)
}
