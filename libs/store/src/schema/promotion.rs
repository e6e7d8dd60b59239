//! Promotions, and how integration branches stand in the target repositories.

use autopack_domain::promotion::{PromotionState, PromotionStrategy};

use super::{
    Table,
    column::{AT, Column, Kind, SHA, count, flag, moment, run_uid, set_by, text, uuid},
    runs::causes,
};

/// The example's promotion.
const PROMOTION: &str = "0197a4c2-0000-7000-8000-000000000005";

pub(super) fn tables() -> Vec<Table> {
    vec![promotion(), integration_status()]
}

fn cause(text: &'static str) -> Column {
    Column::new(
        "cause",
        Kind::Closed(causes),
        "PROMOTION_TARGET_MOVED",
        text,
    )
    .optional()
}

fn promotion() -> Table {
    let columns = vec![
        uuid("uid", PROMOTION, "The promotion."),
        run_uid(),
        Column::new(
            "strategy",
            Kind::Closed(PromotionStrategy::spellings),
            "ff",
            "How the tested commit joins the branch.",
        ),
        text(
            "target_branch",
            "main",
            "The branch that is to hold the result.",
        ),
        text(
            "expected_tip",
            "",
            "Where that branch has to be; empty: wherever it is.",
        ),
        flag(
            "pull_request",
            "false",
            "A pull request on the repository's host asks for it; no branch moves.",
        ),
        text("requested_by", "ann", "Who asked; for people."),
        text(
            "request_id",
            "",
            "The request that made it; empty: it had none.",
        ),
        text(
            "tested_commit",
            SHA,
            "The commit whose tree the gates have seen.",
        ),
        Column::new(
            "state",
            Kind::Closed(PromotionState::spellings),
            "PENDING",
            "Where it stands.",
        ),
        text(
            "intent_from",
            SHA,
            "Where the branch was when its move was prepared; null: it was not, or was seen not to be made.",
        )
        .optional(),
        text(
            "intent_commit",
            SHA,
            "Where it was to go; null: no move was prepared.",
        )
        .optional(),
        text(
            "landed_commit",
            "",
            "What the branch was moved to; empty before.",
        ),
        text("url", "", "The pull request; empty: none."),
        cause("Why it failed, or why the last try of a pending one did; null: it has not."),
        text("detail", "", "The cause's detail for people."),
        Column::new(
            "requested_at",
            Kind::Moment,
            AT,
            "When it was asked for; for a pull request: when it was last.",
        ),
        moment("finished_at", "When it ended."),
    ];
    Table {
        name: "promotion",
        text: "Promotions: the result of a run, brought to another branch.",
        key: &["uid"],
        run: "run_uid",
        columns: set_by("PromoteRun", columns),
    }
}

fn integration_status() -> Table {
    let columns = vec![
        run_uid(),
        text(
            "target_branch",
            "main",
            "The branch to compare with; empty: none was named.",
        ),
        Column::new(
            "requested_at",
            Kind::Moment,
            AT,
            "When the last look was asked for.",
        ),
        moment("looked_at", "When the last look ended; null: none has."),
        text(
            "tip",
            SHA,
            "Where the integration branch was; empty: it did not exist.",
        ),
        count("commits", "2", "Commits from the run's base to that tip."),
        text("base_branch", "main", "What the plan names as its base."),
        text("base_tip", SHA, "Where that was; empty: it did not exist."),
        count("base_ahead", "2", "Commits that the base has not."),
        count("base_behind", "0", "Commits that only the base has."),
        text(
            "target_seen",
            "main",
            "The other branch that was looked at; empty: none.",
        ),
        text(
            "target_tip",
            SHA,
            "Where that was; empty: it did not exist.",
        ),
        count("target_ahead", "2", "Commits that it has not."),
        count("target_behind", "0", "Commits that only it has."),
        cause("Why the last look failed; null: it has not."),
        text("detail", "", "The cause's detail for people."),
    ];
    Table {
        name: "integration_status",
        text: "How the integration branch of a run stood in the target repository when a worker looked.",
        key: &["run_uid"],
        run: "run_uid",
        columns: set_by("RefreshIntegrationStatus", columns),
    }
}
