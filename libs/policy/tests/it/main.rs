//! Table and property tests of the decisions, one module per subject.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

mod answer;
mod counts;
mod dispatch;
mod draft;
mod edits;
mod external;
mod fair;
mod gate_files;
mod govern;
mod govern_tree;
mod history;
mod ids;
mod integrity;
mod issues;
mod links;
mod output;
mod paths;
mod preflight;
mod prompt;
mod properties;
mod provider;
mod reports;
mod routing;
mod scope;
mod signature;
mod strategy;
mod toolchain;
mod toolchain_fixtures;
mod toolchain_python;
mod toolchain_traps;
mod verdict;

use std::collections::BTreeMap;

use autopack_domain::plan::{ScopeSpec, StepKind, StepSpec};
use autopack_policy::toolchain::TreeView;

/// A scope of these paths; `None` is everything.
fn scope(paths: Option<&[&str]>, protected: &[&str]) -> ScopeSpec {
    ScopeSpec {
        paths: paths.map(strings),
        protected_paths: strings(protected),
        ..ScopeSpec::default()
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn step(run: &str, kind: StepKind) -> StepSpec {
    StepSpec {
        run: run.to_owned(),
        kind,
        dir: String::new(),
        timeout_seconds: 60,
        env: BTreeMap::new(),
        report: None,
    }
}

/// A tree in memory; an empty text stands for a file that is not shown.
struct Tree {
    paths: Vec<String>,
    texts: BTreeMap<String, String>,
}

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let texts = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self {
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
            texts: texts.filter(|(_, text)| !text.is_empty()).collect(),
        }
    }
}

impl TreeView for Tree {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn read(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }
}
