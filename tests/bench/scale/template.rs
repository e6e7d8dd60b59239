//! The run that is copied: stored by the registry, held, never worked on.

use autopack_testkit::TempRepo;
use autopack_wire::{client::Clients, registry as pb};

/// Phases of the run, over two tiers.
pub(crate) const PHASES: usize = 20;
/// Its id.
pub(crate) const ID: &str = "template";

/// Stores it; the folder is its repository.
pub(crate) async fn store(clients: &Clients, repo: &TempRepo) {
    let tier = |name: &str| {
        let phase = |n: usize| {
            format!(
                r#"{{"id": "{name}.{n}", "name": "Phase {n} of {name}", "goal": "What phase {n} must achieve, in a sentence",
                    "task_category": "feature_scaffolding", "complexity": "low",
                    "scope": {{"paths": ["src/module_{n}/**"], "deliverables": ["src/module_{n}/lib.rs"]}},
                    "builder": {{"kind": "noop"}}, "gate": {{"steps": ["cargo test -p module_{n}"]}}}}"#
            )
        };
        let phases: Vec<String> = (0..PHASES / 2).map(phase).collect();
        format!(
            r#"{{"id": "{name}", "name": "{name}", "phases": [{}]}}"#,
            phases.join(",")
        )
    };
    let document = format!(
        r#"{{"schema": "autopack/plan/v1", "run": {{"id": "{ID}", "goal": "Measure", "project": "template"}}, "tiers": [{}, {}]}}"#,
        tier("T1"),
        tier("T2")
    );
    let request = pb::CreateRunRequest {
        document,
        repository: repo.path().display().to_string(),
        hold: true,
        ..pb::CreateRunRequest::default()
    };
    let made = clients.registry.clone().create_run(request).await;
    made.unwrap_or_else(|status| panic!("the template was refused: {status}"));
}
