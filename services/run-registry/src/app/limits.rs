//! Shares and limits of projects, pauses of lanes.
//!
//! Invariant: a change is stored first and in force after that; changes are made one at a time, so none is lost.

use autopack_domain::{
    Reason, Refusal, lane,
    project::{LimitsChange, ProjectLimits},
};
use autopack_policy::fair::Policy;
use autopack_store::{StoreError, queue};
use autopack_store_write::{Database, Setting};

use super::{Core, project::check_project, write_refusal};

/// What is stored, and what of it does not parse.
pub(crate) async fn stored_policy(db: &Database) -> Result<(Policy, Vec<String>), StoreError> {
    let mut policy = Policy::default();
    let mut corrupt = Vec::new();
    for row in queue::limits(&db.read).await? {
        match row {
            Ok((project, limits)) => policy.set_limits(&project, limits),
            Err(row) => {
                tracing::error!(%row, "limits of a project were set aside; it has none until they are set anew");
                corrupt.push(row.to_string());
            }
        }
    }
    for lane in queue::paused_lanes(&db.read).await? {
        policy.pause(&lane, true);
    }
    Ok((policy, corrupt))
}

impl Core {
    /// Changes a project's share and limits; all faults at once.
    pub async fn set_limits(
        &self,
        project: &str,
        change: &LimitsChange,
    ) -> Result<ProjectLimits, Refusal> {
        check_project(project)?;
        let _one_at_a_time = self.settings.lock().await;
        let (policy, _) = self.ledger.policy();
        let limits = policy
            .limits(project)
            .changed(change)
            .map_err(|faults| Refusal::invalid(Reason::ArgumentInvalid, faults))?;
        let setting = Setting::Limits {
            project: project.to_owned(),
            share: limits.share,
            limits: limits.to_json(),
        };
        self.writer.put(setting).await.map_err(write_refusal)?;
        self.ledger.set_limits(project, limits.clone());
        tracing::info!(project, ?limits, "a project has other limits");
        Ok(limits)
    }

    /// A project's share and limits, and how many attempts it has at a time.
    pub fn limits(&self, project: &str) -> (ProjectLimits, u32) {
        let (policy, _) = self.ledger.policy();
        (policy.limits(project).clone(), self.ledger.running(project))
    }

    /// Pauses a lane, or ends its pause; returns the paused lanes and their version.
    pub async fn pause_lane(&self, name: &str, paused: bool) -> Result<(Policy, u64), Refusal> {
        let name = lane::name(name);
        let _one_at_a_time = self.settings.lock().await;
        let setting = Setting::Lane(name.clone(), paused);
        self.writer.put(setting).await.map_err(write_refusal)?;
        self.ledger.pause(&name, paused);
        tracing::info!(lane = name, paused, "a lane was paused or goes on");
        Ok(self.ledger.policy())
    }

    /// Shares, limits and paused lanes, and their version.
    pub fn policy(&self) -> (Policy, u64) {
        self.ledger.policy()
    }
}
