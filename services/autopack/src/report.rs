//! The report over several runs.
//!
//! Invariant: one result for each run, in the order of the plans, whatever the order in which they ended.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    error::{CliError, Exit},
    output::{json, table::Table, text},
    view::{View, exit_of, run_state},
};

/// How one plan came out.
#[derive(Clone, Debug)]
pub(crate) struct RunResult {
    plan: String,
    run: String,
    result: Result<View, CliError>,
}

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    results: Vec<RunResult>,
}

impl RunResult {
    /// The result of a plan; `run` is empty if none was stored.
    pub(crate) fn new(plan: String, run: String, result: Result<View, CliError>) -> Self {
        Self { plan, run, result }
    }

    fn succeeded(&self) -> bool {
        self.result
            .as_ref()
            .is_ok_and(|view| exit_of(&view.run) == Exit::Success)
    }

    fn state(&self) -> &str {
        self.result
            .as_ref()
            .map_or("ERROR", |view| run_state(&view.run))
    }

    /// Why it did not succeed, on one line.
    fn why(&self) -> String {
        match &self.result {
            Ok(view) if view.run.cause.is_empty() => String::new(),
            Ok(view) => format!(
                "{}: {}",
                view.run.cause,
                crate::output::one_line(&view.run.detail, 120)
            ),
            Err(error) => crate::output::one_line(&error.message, 160),
        }
    }
}

impl Report {
    /// A report over results in the order of their plans.
    pub(crate) fn new(results: Vec<RunResult>) -> Self {
        Self { results }
    }

    /// 0 if all succeeded, 3 if a run failed, else 1.
    pub(crate) fn exit(&self) -> Exit {
        let exits = self.results.iter().map(|r| {
            r.result
                .as_ref()
                .map_or_else(|error| error.exit, |view| exit_of(&view.run))
        });
        exits.fold(Exit::Success, |worst, exit| match (worst, exit) {
            (Exit::RunFailed, _) | (_, Exit::RunFailed) => Exit::RunFailed,
            (worst, Exit::Success) => worst,
            (_, other) => other,
        })
    }

    /// For people.
    pub(crate) fn markdown(&self) -> String {
        let total = self.results.len();
        let good = self.results.iter().filter(|r| r.succeeded()).count();
        let percent = (good * 100).checked_div(total).unwrap_or(0);
        let mut text = format!(
            "# Runs\n\n- **Total:** {total}\n- **Succeeded:** {good} ({percent} %)\n- **Failed:** {} ({} %)\n\n",
            total - good,
            100 - percent
        );
        let mut table = Table::new(&["Plan", "Run", "State", "Phases", "Started", "Ended", "Why"]);
        for result in &self.results {
            let view = result.result.as_ref().ok();
            table.row([
                result.plan.clone(),
                result.run.clone(),
                result.state().to_owned(),
                view.map_or_else(String::new, |v| {
                    format!(
                        "{}/{}",
                        v.run.counts.unwrap_or_default().complete,
                        v.phases.len()
                    )
                }),
                view.map_or_else(String::new, |v| text::moment(v.run.start_time.as_ref())),
                view.map_or_else(String::new, |v| text::moment(v.run.complete_time.as_ref())),
                result.why(),
            ]);
        }
        let _ = write!(text, "{}", table.markdown());
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let now = autopack_runtime::Clock::now(&autopack_runtime::SystemClock::new()).0;
        let results: Vec<Value> = self
            .results
            .iter()
            .map(|r| {
                json!({
                    "plan": r.plan,
                    "run": json::some(&r.run),
                    "success": r.succeeded(),
                    "state": r.state(),
                    "error": r.result.as_ref().err().map(|error| error.json()["error"].clone()),
                    "result": r.result.as_ref().ok().map(|view| json::view(view, now)),
                })
            })
            .collect();
        let good = self.results.iter().filter(|r| r.succeeded()).count();
        json!({ "total": results.len(), "succeeded": good, "failed": results.len() - good, "results": results })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_wire::types::{Run, run::State};

    fn result(plan: &str, state: Option<State>) -> RunResult {
        let view = state.map(|state| View {
            run: Run {
                state: state.into(),
                ..Run::default()
            },
            ..View::default()
        });
        RunResult::new(
            plan.to_owned(),
            plan.to_owned(),
            view.ok_or_else(|| CliError::new("no such file")),
        )
    }

    #[test]
    fn results_keep_their_order_and_the_worst_decides_the_exit() {
        let report = Report::new(vec![
            result("a", Some(State::DoneSuccess)),
            result("b", None),
            result("c", Some(State::DoneFailedEnvironment)),
        ]);
        assert_eq!(report.exit(), Exit::RunFailed);
        let text = report.markdown();
        assert!(text.contains("- **Succeeded:** 1 (33 %)"), "{text}");
        let rows: Vec<usize> = ["| a |", "| b |", "| c |"]
            .iter()
            .map(|row| text.find(row).unwrap())
            .collect();
        assert!(rows.is_sorted());
        assert_eq!(
            report.json()["results"][1]["error"]["message"],
            "no such file"
        );
        assert_eq!(
            Report::new(vec![
                result("b", None),
                result("a", Some(State::DoneSuccess))
            ])
            .exit(),
            Exit::Error
        );
        assert_eq!(
            Report::new(vec![result("a", Some(State::DoneSuccess))]).exit(),
            Exit::Success
        );
    }
}
