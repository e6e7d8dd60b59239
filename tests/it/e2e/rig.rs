//! Plays a plan on a repository and asks what became of it.
//!
//! Invariant: whatever a plan does, the user's checkout is the same before and after, every commit on the branch
//! belongs to a complete phase, and a failed run leaves an incident pack.

use std::path::PathBuf;

use autopack_testkit::fingerprint::Fingerprint;
use autopack_testkit::{Answer, Autopack, Plan, TempRepo, git};
use serde_json::Value;

/// Ends of runs, as the command line spells them.
pub(crate) const HUMAN: &str = "DONE_FAILED_REQUIRES_HUMAN_REVIEW";
pub(crate) const POLICY: &str = "DONE_FAILED_POLICY_VIOLATION";
pub(crate) const ENVIRONMENT: &str = "DONE_FAILED_ENVIRONMENT";
pub(crate) const BUDGET: &str = "DONE_FAILED_BUDGET_EXHAUSTED";
pub(crate) const SUCCESS: &str = "DONE_SUCCESS";

/// A plan that was run to its end.
pub(crate) struct Played {
    pub(crate) autopack: Autopack,
    pub(crate) repo: TempRepo,
    pub(crate) plan: PathBuf,
    pub(crate) id: String,
    /// What `run --json` answered.
    pub(crate) answer: Answer,
    /// What `status --json` said afterwards.
    pub(crate) status: Value,
    base: Option<String>,
    before: Fingerprint,
}

/// Runs a plan of this id to its end.
#[track_caller]
pub(crate) fn play(id: &str, repo: TempRepo, plan: &Plan) -> Played {
    play_with(Autopack::new(), id, repo, plan)
}

/// The same, on a data directory that the caller has prepared.
#[track_caller]
pub(crate) fn play_with(autopack: Autopack, id: &str, repo: TempRepo, plan: &Plan) -> Played {
    let base = git::commit_of(repo.path(), "HEAD");
    let before = repo.fingerprint();
    let plan = plan.write(&autopack.folder("plan"));
    let answer = autopack.run(&plan, repo.path());
    before.expect_same(&repo.fingerprint());
    let status = autopack.status(id);
    Played {
        autopack,
        repo,
        plan,
        id: id.to_owned(),
        answer,
        status,
        base,
        before,
    }
}

impl Played {
    /// A phase as `status` shows it.
    #[track_caller]
    pub(crate) fn phase(&self, id: &str) -> &Value {
        let phases = self.status["phases"].as_array().unwrap();
        phases
            .iter()
            .find(|phase| phase["id"] == id)
            .unwrap_or_else(|| panic!("no phase {id} in {:#}", self.status))
    }

    /// Commits that landed, oldest first.
    pub(crate) fn landed(&self) -> Vec<git::Commit> {
        match (self.repo.branch(&self.id), &self.base) {
            (None, _) => Vec::new(),
            (Some(_), Some(base)) => self.repo.landed(base, &self.id),
            (Some(tip), None) => git::log(self.repo.path(), &tip),
        }
    }

    /// The run succeeded, and its branch holds exactly the commits of its phases.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> &Self {
        self.answer.done.expect_code(0);
        assert_eq!(self.status["state"], SUCCESS, "{:#}", self.status);
        assert_eq!(self.status["cause"], Value::Null);
        for phase in self.status["phases"].as_array().unwrap() {
            assert_eq!(phase["state"], "COMPLETE", "{phase:#}");
        }
        let incidents = self.autopack.files(&["incident"]);
        assert!(
            incidents.is_empty(),
            "a run that succeeded has no incident: {incidents:?}"
        );
        self.branch_is_of_complete_phases();
        self
    }

    /// The run failed in this state for this cause, which is that of one phase (empty: the run's own).
    #[track_caller]
    pub(crate) fn fails(&self, state: &str, cause: &str, phase: &str) -> &Self {
        self.answer.done.expect_code(3);
        assert_eq!(self.status["state"], state, "{:#}", self.status);
        assert_eq!(self.status["cause"], cause, "{:#}", self.status);
        if !phase.is_empty() {
            let found = self.phase(phase);
            assert_eq!(
                (&found["state"], &found["cause"]),
                (&"FAILED".into(), &cause.into()),
                "{found:#}"
            );
            assert_ne!(found["detail"], Value::Null, "{found:#}");
        }
        self.branch_is_of_complete_phases();
        self.has_incident(state, cause, phase);
        self
    }

    /// What the phase or, without one, the run says about its end holds these words.
    #[track_caller]
    pub(crate) fn says(&self, phase: &str, words: &[&str]) -> &Self {
        let of = if phase.is_empty() {
            &self.status
        } else {
            self.phase(phase)
        };
        let detail = of["detail"].as_str().unwrap_or_default();
        for word in words {
            assert!(
                detail.contains(word),
                "`{word}` is not in the detail: {detail}"
            );
        }
        self
    }

    /// The branch's tip passes this check, or there is no branch.
    #[track_caller]
    pub(crate) fn is_green(&self, check: &str) -> &Self {
        let Some(tip) = self.repo.branch(&self.id) else {
            return self;
        };
        let folder = self.repo.outside().join("green");
        let (from, to) = (self.repo.path().to_str().unwrap(), folder.to_str().unwrap());
        git::git(
            self.repo.outside(),
            &["clone", "-q", "--no-checkout", from, to],
        );
        git::git(&folder, &["fetch", "-q", "origin", &tip]);
        git::git(&folder, &["checkout", "-q", "--detach", &tip]);
        let mut shell = std::process::Command::new("/bin/sh");
        let done = autopack_testkit::program::run(
            shell.args(["-c", check]).current_dir(&folder),
            std::time::Duration::from_mins(1),
        );
        assert_eq!(
            done.code,
            Some(0),
            "the branch is red: {}{}",
            done.stdout,
            done.stderr
        );
        self
    }

    /// The branch is absent.
    #[track_caller]
    pub(crate) fn has_no_branch(&self) -> &Self {
        assert_eq!(self.repo.branch(&self.id), None);
        self
    }

    /// A file of the incident pack.
    #[track_caller]
    pub(crate) fn incident(&self, file: &str) -> String {
        let path = self
            .autopack
            .data()
            .join("runs")
            .join(&self.id)
            .join("incident")
            .join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The same command again: the same result, and nothing changes.
    #[track_caller]
    pub(crate) fn again_is_the_same(&self) -> &Self {
        let tip = self.repo.branch(&self.id);
        let again = self.autopack.run(&self.plan, self.repo.path());
        assert_eq!(
            again.done.code, self.answer.done.code,
            "{}",
            again.done.stderr
        );
        assert_eq!(self.autopack.status(&self.id), self.status);
        assert_eq!(self.repo.branch(&self.id), tip);
        self.before.expect_same(&self.repo.fingerprint());
        self
    }

    #[track_caller]
    fn branch_is_of_complete_phases(&self) {
        // A branch that the run did not make is not its own to be judged.
        if ["BRANCH_EXISTS", "BRANCH_CHECKED_OUT"]
            .map(Value::from)
            .contains(&self.status["cause"])
        {
            return;
        }
        let phases = self.status["phases"].as_array().unwrap();
        let mut told: Vec<&str> = phases
            .iter()
            .filter_map(|phase| phase["commit"].as_str())
            .collect();
        let landed = self.landed();
        let mut found: Vec<&str> = landed.iter().map(|commit| commit.oid.as_str()).collect();
        told.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, told, "commits on the branch, and commits of phases");
        for phase in phases.iter().filter(|phase| !phase["commit"].is_null()) {
            assert_eq!(phase["state"], "COMPLETE", "{phase:#}");
        }
    }

    #[track_caller]
    fn has_incident(&self, state: &str, cause: &str, phase: &str) {
        let readme = self.incident("README.md");
        assert!(readme.contains(state) && readme.contains(cause), "{readme}");
        assert!(
            readme.contains("autopack "),
            "the next command is missing: {readme}"
        );
        let attempts: Value = serde_json::from_str(&self.incident("attempts.json")).unwrap();
        if !phase.is_empty() {
            assert!(readme.contains(&format!("## Phase {phase}")), "{readme}");
            assert!(self.incident("why.txt").contains(cause));
            let made = attempts
                .as_array()
                .unwrap()
                .iter()
                .filter(|attempt| attempt["phase"] == phase);
            assert_eq!(
                made.count() as u64,
                self.phase(phase)["attempts"].as_u64().unwrap()
            );
        }
        let summary = self.autopack.files(&["runs", "run_summary.md"]);
        assert_eq!(summary.len(), 1);
        assert!(
            std::fs::read_to_string(&summary[0])
                .unwrap()
                .contains(state)
        );
    }
}
