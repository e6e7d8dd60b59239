//! The plan that every scene runs: chains of phases, and what must come of them.
//!
//! Invariant: the final tree follows from the plan alone; it does not depend on the order in which chains grow, nor on
//! how often a builder ran.

use std::path::Path;

use autopack_testkit::{Phase, Plan, Series, TempRepo};

use crate::seed::number;

/// Tokens that each builder reports.
pub(crate) const TOKENS: u64 = 10;
/// Tokens that the run may spend: a lost attempt costs what it was estimated at.
const CAP: u64 = 10_000_000;

/// One phase.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its id: the chain's letter and the place in it.
    pub(crate) id: String,
    /// The phase that it waits for.
    pub(crate) after: Option<String>,
    /// Shell lines before its work.
    pub(crate) first: String,
}

impl Step {
    fn chain(&self) -> &str {
        &self.id[..1]
    }

    fn place(&self) -> usize {
        self.id[1..].parse().unwrap()
    }

    fn file(&self) -> String {
        format!("{}/{}.txt", self.chain(), self.place())
    }

    /// One line for each phase of the chain so far.
    fn content(&self) -> String {
        let lines = (1..=self.place()).map(|place| format!("{}{place}\n", self.chain()));
        lines.collect::<Vec<_>>().concat()
    }

    /// Notes itself in the ledger, and adds its line to what the phase before it wrote.
    fn builder(&self, ledger: &Path) -> String {
        let (chain, file, id) = (self.chain(), self.file(), &self.id);
        let before = match self.place() {
            1 => "/dev/null".to_owned(),
            place => format!("{chain}/{}.txt", place - 1),
        };
        format!(
            "echo \"$AUTOPACK_PHASE_ID $AUTOPACK_ATTEMPT $$\" >> '{ledger}'\n{first}\nmkdir -p {chain}\n\
             (cat {before}; echo {id}) > {file}\n\
             echo '{{\"total_tokens\": {TOKENS}}}' > \"$AUTOPACK_USAGE_FILE\"\n",
            ledger = ledger.display(),
            first = self.first,
        )
    }
}

/// Chains of so many phases each; some builders take a moment, so that faults meet them at work.
pub(crate) fn chains(count: u8, length: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for place in 1..=length {
        for chain in 0..count {
            let letter = char::from(b'a' + chain);
            let slow = (place + usize::from(chain)) % 4 == 1;
            steps.push(Step {
                id: format!("{letter}{place}"),
                after: (place > 1).then(|| format!("{letter}{}", place - 1)),
                first: if slow { "sleep 0.3" } else { "" }.to_owned(),
            });
        }
    }
    steps
}

/// 40 phases, or about what `AUTOPACK_CHAOS_PHASES` says.
pub(crate) fn full() -> Vec<Step> {
    let phases = number("AUTOPACK_CHAOS_PHASES").unwrap_or(40);
    chains(5, usize::try_from(phases).unwrap().div_ceil(5))
}

/// 12 phases, for faults that need no more.
pub(crate) fn small() -> Vec<Step> {
    chains(4, 3)
}

/// Writes the plan of a run; each last phase of a chain is gated.
pub(crate) fn write(run: &str, steps: &[Step], ledger: &Path, folder: &Path) -> std::path::PathBuf {
    let mut plan = Plan::new(run).run("base", "main").run(
        "budgets",
        serde_json::json!({ "tokens": CAP, "phases": steps.len() }),
    );
    for step in steps {
        let after: Vec<&str> = step.after.iter().map(String::as_str).collect();
        let mut phase = Phase::command(&step.id, &step.builder(ledger)).after(&after);
        if !steps
            .iter()
            .any(|other| other.after.as_ref() == Some(&step.id))
        {
            phase = phase.check(&format!("test -s {}", step.file()));
        }
        plan = plan.phase(phase);
    }
    plan.write(folder)
}

/// The tree that these phases make on a revision, by plain git.
pub(crate) fn tree(repo: &TempRepo, base: &str, steps: &[Step]) -> String {
    let series = Series::at(repo, base, "expected");
    series.edit(|folder| {
        for step in steps {
            autopack_testkit::repo::write(folder, &step.file(), step.content());
        }
    });
    series.tree()
}
