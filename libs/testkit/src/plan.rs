//! Plans and their patch files.
//!
//! Invariant: what is written is `autopack/plan/v1` as a user would write it; nothing is filled in that the product
//! fills in itself, but the gate: a phase without one has none.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// A plan under construction.
#[derive(Debug, Clone)]
pub struct Plan {
    run: Map<String, Value>,
    tiers: Vec<(String, Vec<Phase>)>,
}

/// A phase of a plan.
#[derive(Debug, Clone)]
pub struct Phase {
    value: Map<String, Value>,
    patches: Vec<(String, String)>,
}

impl Plan {
    /// A run of this id on `main`.
    pub fn new(id: &str) -> Self {
        let mut run = Map::new();
        run.insert("id".to_owned(), id.into());
        run.insert("goal".to_owned(), format!("What {id} is for").into());
        Self {
            run,
            tiers: Vec::new(),
        }
    }

    /// A setting of the run.
    pub fn run(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.run.insert(key.to_owned(), value.into());
        self
    }

    /// The next phases belong to this tier.
    pub fn tier(mut self, id: &str) -> Self {
        self.tiers.push((id.to_owned(), Vec::new()));
        self
    }

    /// One more phase, in the last tier.
    pub fn phase(mut self, phase: Phase) -> Self {
        if self.tiers.is_empty() {
            self = self.tier("T1");
        }
        self.tiers.last_mut().unwrap().1.push(phase);
        self
    }

    /// Writes the plan and its patches into a folder; the plan's path.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let mut tiers = Vec::new();
        for (id, phases) in &self.tiers {
            let phases: Vec<&Map<String, Value>> = phases
                .iter()
                .map(|phase| {
                    for (name, patch) in &phase.patches {
                        crate::repo::write(folder, name, patch);
                    }
                    &phase.value
                })
                .collect();
            tiers.push(json!({ "id": id, "phases": phases }));
        }
        let plan = json!({ "schema": "autopack/plan/v1", "run": self.run, "tiers": tiers });
        let path = folder.join("plan.yaml");
        crate::repo::write(folder, "plan.yaml", format!("{plan:#}\n"));
        path
    }
}

impl Phase {
    fn new(id: &str, builder: Value) -> Self {
        let value = json!({
            "id": id,
            "name": format!("Do {id}"),
            "goal": format!("What {id} must achieve"),
            "builder": builder,
            "gate": { "steps": [] },
        });
        let Value::Object(value) = value else {
            unreachable!()
        };
        Self {
            value,
            patches: Vec::new(),
        }
    }

    /// Applies a patch.
    pub fn patch(id: &str, patch: impl Into<String>) -> Self {
        Self::patches(id, [patch.into()])
    }

    /// Applies several patches in order.
    pub fn patches(id: &str, patches: impl IntoIterator<Item = String>) -> Self {
        let numbered = patches.into_iter().enumerate();
        let patches: Vec<(String, String)> = numbered
            .map(|(n, text)| (format!("patches/{id}-{n}.patch"), text))
            .collect();
        let mut names: Vec<Value> = patches
            .iter()
            .map(|(name, _)| name.as_str().into())
            .collect();
        let named = if names.len() == 1 {
            names.remove(0)
        } else {
            names.into()
        };
        Self {
            patches,
            ..Self::new(id, json!({ "kind": "patch", "patch": named }))
        }
    }

    /// Runs a shell line as the builder.
    pub fn command(id: &str, run: &str) -> Self {
        Self::new(id, json!({ "kind": "command", "run": run }))
    }

    /// Builds nothing.
    pub fn noop(id: &str) -> Self {
        Self::new(id, json!({ "kind": "noop" }))
    }

    /// Gated by a step that runs tests.
    pub fn test(self, run: &str) -> Self {
        self.set("gate", json!({ "steps": [{ "run": run, "kind": "test" }] }))
    }

    /// Gated by a step whose exit code decides.
    pub fn check(self, run: &str) -> Self {
        self.set(
            "gate",
            json!({ "steps": [{ "run": run, "kind": "check" }] }),
        )
    }

    /// What it may write.
    pub fn scope(self, paths: &[&str]) -> Self {
        self.set("scope", json!({ "paths": paths }))
    }

    /// The phases that it waits for; none starts it at once.
    pub fn after(self, phases: &[&str]) -> Self {
        self.set("depends_on", json!(phases))
    }

    /// Any other key.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.value.insert(key.to_owned(), value.into());
        self
    }

    /// Takes a key away.
    pub fn without(mut self, key: &str) -> Self {
        self.value.remove(key);
        self
    }
}
