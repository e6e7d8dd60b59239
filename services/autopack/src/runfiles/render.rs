//! From what the registry knows to files: values in, files out.
//!
//! Invariant: pure. The same run in the same layout gives the same bytes, whoever asks and whenever.

use std::path::PathBuf;

use serde_json::Value;

use super::{
    details,
    gather::Facts,
    incident, issues, journal,
    layout::{BACKLOG, Layout, SUMMARY, SUMMARY_JSON},
    summary,
    write::Pack,
};

/// The files of a run and of its project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// The run's folder below the base folder.
    pub(crate) folder: PathBuf,
    /// Files in the run's folder.
    pub(crate) run: Pack,
    /// Files of its project in the base folder.
    pub(crate) project: Pack,
}

/// Every file of a run.
pub(crate) fn render(facts: &Facts, layout: Layout) -> Rendered {
    let view = &facts.view;
    let mut run = Pack::new();
    run.insert(SUMMARY.into(), summary::markdown(facts).into_bytes());
    run.insert(SUMMARY_JSON.into(), pretty(&summary::json(facts)));
    for tier in &view.tiers {
        let path = layout.tier(tier.index, &tier.id, facts.tier_name(tier));
        run.insert(path, details::tier(facts, tier).into_bytes());
    }
    for phase in &view.phases {
        let path = layout.phase(phase.index, &phase.id);
        run.insert(path, details::phase(facts, phase).into_bytes());
        if let Some(found) = issues::phase(facts, phase) {
            run.insert(layout.issues(phase.index, &phase.id), pretty(&found));
        }
    }
    run.insert(layout.issue_index(), pretty(&issues::index(facts)));
    incident::pack(facts, &mut run);
    let backlog = pretty(&issues::backlog(facts));
    let mut project = Pack::from([
        (PathBuf::from(BACKLOG), backlog.clone()),
        (Layout::backlog_of(&view.run.project), backlog),
    ]);
    if let Some(journal) = &facts.journal {
        let page = journal::page(journal, &view.run.project);
        project.insert(Layout::journal_of(&view.run.project), page.into_bytes());
    }
    // What is stored is JSON; one form of it whatever the spacing.
    if let Ok(ruleset) = serde_json::from_str::<Value>(&facts.ruleset) {
        project.insert(Layout::ruleset(&view.run.project), pretty(&ruleset));
    }
    Rendered {
        folder: layout.run(&view.run.id),
        run,
        project,
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
