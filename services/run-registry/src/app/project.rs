//! Projects and their rulesets.

use autopack_domain::{Reason, Refusal};
use autopack_policy::strategy::{Ruleset, parse_ruleset};
use autopack_store::read;
use autopack_store_write::Setting;

use super::{Core, store_refusal, write_refusal};

impl Core {
    /// Stores a project's ruleset, given as YAML or JSON.
    pub async fn import_ruleset(&self, project: &str, document: &str) -> Result<String, Refusal> {
        check_project(project)?;
        let tree = autopack_domain::plan::parse_document(document, "ruleset")
            .map_err(|fault| Refusal::invalid(Reason::RulesetInvalid, vec![fault]))?;
        let ruleset = parse_ruleset(&tree)
            .map_err(|faults| Refusal::invalid(Reason::RulesetInvalid, faults))?;
        let json = serde_json::to_string(&ruleset)
            .map_err(|e| Refusal::new(Reason::InternalFault, e.to_string()))?;
        self.writer
            .put(Setting::Ruleset(project.to_owned(), json.clone()))
            .await
            .map_err(write_refusal)?;
        Ok(json)
    }

    /// A project's ruleset as stored; empty if it has none.
    pub async fn project(&self, name: &str) -> Result<String, Refusal> {
        let row = read::project(&self.database.read, name)
            .await
            .map_err(store_refusal)?;
        row.map(|p| p.ruleset).ok_or_else(|| {
            Refusal::new(Reason::ProjectNotFound, format!("no project `{name}`"))
                .with("project", name)
        })
    }

    /// The ruleset in force for a project; the built-in one if it has none.
    pub(crate) async fn ruleset(&self, project: &str) -> Result<Ruleset, Refusal> {
        let row = read::project(&self.database.read, project)
            .await
            .map_err(store_refusal)?;
        let Some(text) = row.map(|p| p.ruleset).filter(|t| !t.is_empty()) else {
            return Ok(Ruleset::default());
        };
        serde_json::from_str(&text).map_err(|e| {
            Refusal::new(
                Reason::DataCorrupt,
                format!("project {project}: the stored ruleset does not parse: {e}"),
            )
        })
    }
}

/// A project's name is a label of subjects and metrics: at most 128 of the characters of ids.
pub(crate) fn check_project(name: &str) -> Result<(), Refusal> {
    if autopack_domain::ids::is_user_id(name) {
        return Ok(());
    }
    let fault = autopack_domain::Fault::new(
        "project",
        format!(
            "`{name}` is not a project name: {}",
            autopack_domain::ids::ID_RULE
        ),
    )
    .example("demo");
    Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]))
}
