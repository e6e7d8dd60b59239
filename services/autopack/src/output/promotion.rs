//! Promotions and integration branches, for people and as JSON.
//!
//! Invariant: texts that came from git or a host are cut to one line and stripped of control characters in tables.

use std::fmt::Write as _;

use autopack_wire::types;
use serde_json::{Value, json};

use super::{
    Ui, count,
    json::{some, time},
    one_line,
    table::Table,
    text::moment,
};

/// The state of a promotion as a word.
pub(crate) fn state(of: &types::Promotion) -> &'static str {
    let name = of.state().as_str_name();
    name.strip_prefix("STATE_").unwrap_or(name)
}

/// A promotion.
pub(crate) fn json(of: &types::Promotion) -> Value {
    json!({
        "uid": of.uid,
        "state": state(of),
        "strategy": of.strategy,
        "target": of.target_branch,
        "pull_request": of.pull_request,
        "requested_by": some(&of.requested_by),
        "tested_commit": of.tested_commit,
        "landed_commit": some(&of.landed_commit),
        "url": some(&of.url),
        "cause": some(&of.cause),
        "detail": some(&of.detail),
        "request_time": time(of.request_time.as_ref()),
        "finish_time": time(of.finish_time.as_ref()),
    })
}

/// How a promotion stands, in a sentence.
pub(crate) fn sentence(of: &types::Promotion) -> String {
    use types::promotion::State;
    let (target, short) = (&of.target_branch, |oid: &str| {
        oid.chars().take(12).collect::<String>()
    });
    match of.state() {
        State::Landed => format!(
            "{target} is at {}, which holds the tested tree\n",
            short(&of.landed_commit)
        ),
        State::AlreadyThere => format!("{target} held the result before\n"),
        State::Opened => format!("{}\n", of.url),
        State::Failed => format!("not promoted to {target}: {}: {}\n", of.cause, of.detail),
        State::Pending | State::Unspecified => {
            format!("the promotion to {target} waits for a worker\n")
        }
    }
}

/// An integration branch with the run's promotions as JSON.
pub(crate) fn status_json(of: &types::IntegrationStatus, promotions: &[types::Promotion]) -> Value {
    let seen = of.seen.as_ref();
    json!({
        "branch": of.branch,
        "known_tip": some(&of.known_tip),
        "tip": seen.map(|s| some(&s.tip)),
        "commits": seen.map(|s| s.commits),
        "base": seen.and_then(|s| s.base.as_ref()).map(beside_json),
        "target": seen.and_then(|s| s.target.as_ref()).map(beside_json),
        "look_time": time(of.look_time.as_ref()),
        "refreshing": of.refreshing,
        "cause": some(&of.cause),
        "detail": some(&of.detail),
        "promotions": promotions.iter().map(json).collect::<Vec<_>>(),
    })
}

fn beside_json(of: &types::BranchComparison) -> Value {
    json!({
        "branch": of.branch,
        "tip": some(&of.tip),
        "ahead": of.ahead,
        "behind": of.behind,
    })
}

/// An integration branch with the run's promotions.
pub(crate) fn status(
    ui: Ui,
    of: &types::IntegrationStatus,
    promotions: &[types::Promotion],
) -> String {
    let mut text = format!("branch  {}\n", of.branch);
    match &of.seen {
        None => {
            let _ = writeln!(text, "tip     {} (nobody has looked)", dash(&of.known_tip));
        }
        Some(seen) => {
            let _ = writeln!(
                text,
                "tip     {}{}",
                dash(&seen.tip),
                if seen.tip == of.known_tip {
                    ""
                } else {
                    " (not what the registry knows)"
                }
            );
            let _ = writeln!(text, "commits {}", seen.commits);
            for other in [&seen.base, &seen.target].into_iter().flatten() {
                let _ = writeln!(text, "{}", beside(other));
            }
            let _ = writeln!(text, "looked  {}", moment(of.look_time.as_ref()));
        }
    }
    if !of.cause.is_empty() {
        let _ = writeln!(text, "failed  {}: {}", of.cause, one_line(&of.detail, 200));
    }
    if of.refreshing {
        text.push_str("a look is under way\n");
    }
    if promotions.is_empty() {
        return text;
    }
    let mut table = Table::new(&["PROMOTION", "STATE", "HOW", "ASKED", "WHAT"]);
    for one in promotions {
        let how = if one.pull_request {
            "pull request"
        } else {
            &one.strategy
        };
        let what = if one.url.is_empty() {
            format!("{} {}", one.cause, one.detail)
        } else {
            one.url.clone()
        };
        table.row([
            one_line(&one.target_branch, 40),
            ui.state(state(one)),
            how.to_owned(),
            moment(one.request_time.as_ref()),
            one_line(&what, 80),
        ]);
    }
    let _ = write!(text, "\n{}", table.render());
    text
}

fn beside(of: &types::BranchComparison) -> String {
    if of.tip.is_empty() {
        return format!("        {}: no such branch", of.branch);
    }
    format!(
        "        {}: {} ahead, {} behind",
        of.branch,
        count(of.ahead as usize, "commit"),
        of.behind
    )
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
