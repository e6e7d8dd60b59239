//! Where each file of a run stands.
//!
//! Invariant: the places are a contract: those of the deployment guide, and those of the older system; a test spells
//! each of them out.

use std::path::PathBuf;

use super::names::{name, older, run_folder};

/// The file that every folder of ours has: for programs, and to know the folder again.
pub(crate) const SUMMARY_JSON: &str = "run_summary.json";
/// The summary for people.
pub(crate) const SUMMARY: &str = "run_summary.md";
/// A project's backlog.
pub(crate) const BACKLOG: &str = "project_issue_backlog.json";
/// Where tiers, phases, issues and the incident pack of a run are.
pub(crate) const FOLDERS: [&str; 4] = ["tiers", "phases", "issues", "incident"];

/// Names and places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Layout {
    /// As the deployment guide has them
    #[default]
    Guide,
    /// As the older system wrote them
    Legacy,
}

impl Layout {
    /// The folder of a run below the base folder.
    pub(crate) fn run(self, id: &str) -> PathBuf {
        match self {
            Self::Guide => PathBuf::from(run_folder(id)),
            // The project's files stand beside the folder of all runs.
            Self::Legacy => PathBuf::from(".autonomous_runs").join(run_folder(id)),
        }
    }

    /// A tier's file below the run's folder.
    pub(super) fn tier(self, index: u32, id: &str, title: &str) -> PathBuf {
        let file = match self {
            Self::Guide => format!("tier_{index}_{}.md", name(id)),
            Self::Legacy if title.is_empty() => format!("tier_{index:02}_{}.md", older(id)),
            Self::Legacy => format!("tier_{index:02}_{}.md", older(title)),
        };
        PathBuf::from("tiers").join(file)
    }

    /// A phase's file below the run's folder.
    pub(super) fn phase(self, index: u32, id: &str) -> PathBuf {
        PathBuf::from("phases").join(format!("{}.md", self.phase_stem(index, id)))
    }

    /// The issues of a phase below the run's folder.
    pub(super) fn issues(self, index: u32, id: &str) -> PathBuf {
        PathBuf::from("issues").join(format!("{}_issues.json", self.phase_stem(index, id)))
    }

    fn phase_stem(self, index: u32, id: &str) -> String {
        match self {
            Self::Guide => format!("phase_{index}_{}", name(id)),
            Self::Legacy => format!("phase_{index:02}_{}", name(id)),
        }
    }

    /// The issues of the run below its folder.
    pub(super) fn issue_index(self) -> PathBuf {
        match self {
            Self::Guide => PathBuf::from("run_issue_index.json"),
            Self::Legacy => PathBuf::from("issues/run_issue_index.json"),
        }
    }

    /// A project's ruleset below the base folder.
    pub(super) fn ruleset(project: &str) -> PathBuf {
        PathBuf::from(format!("project_ruleset_{}.json", name(project)))
    }

    /// A project's debug journal below the base folder.
    pub(super) fn journal_of(project: &str) -> PathBuf {
        PathBuf::from(format!("debug_journal_{}.md", name(project)))
    }

    /// A project's backlog under the project's own name: several projects may share a base folder.
    pub(super) fn backlog_of(project: &str) -> PathBuf {
        PathBuf::from(format!("project_issue_backlog_{}.json", name(project)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: PathBuf) -> String {
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_guides_places_are_the_guides() {
        let guide = Layout::Guide;
        assert_eq!(text(guide.run("run-001")), "run-001");
        assert_eq!(text(guide.tier(0, "T1", "Core")), "tiers/tier_0_T1.md");
        assert_eq!(text(guide.tier(1, "T2", "")), "tiers/tier_1_T2.md");
        assert_eq!(text(guide.phase(0, "P1.1")), "phases/phase_0_P1.1.md");
        assert_eq!(
            text(guide.issues(0, "P1.1")),
            "issues/phase_0_P1.1_issues.json"
        );
        assert_eq!(text(guide.issue_index()), "run_issue_index.json");
        assert_eq!(
            text(Layout::ruleset("Autopack")),
            "project_ruleset_Autopack.json"
        );
        assert_eq!(
            text(Layout::journal_of("../x")),
            "debug_journal_%2E.%2Fx.md"
        );
        assert_eq!(BACKLOG, "project_issue_backlog.json");
    }

    #[test]
    fn the_older_places_are_the_older_systems() {
        let legacy = Layout::Legacy;
        assert_eq!(text(legacy.run("run-001")), ".autonomous_runs/run-001");
        assert_eq!(
            text(legacy.tier(0, "T1", "Core Features")),
            "tiers/tier_00_Core_Features.md"
        );
        assert_eq!(
            text(legacy.tier(1, "T2", "../../x")),
            "tiers/tier_01_%2E._.._x.md"
        );
        assert_eq!(text(legacy.phase(0, "P1.1")), "phases/phase_00_P1.1.md");
        assert_eq!(
            text(legacy.issues(12, "P1.1")),
            "issues/phase_12_P1.1_issues.json"
        );
        assert_eq!(text(legacy.issue_index()), "issues/run_issue_index.json");
    }
}
