//! The self-check page by page: together the pages are one answer, a call ends when its time is used up, and a repair over
//! pages records each change once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use autopack_domain::{Reason, Timestamp};
use autopack_runtime::clock::Clock;
use autopack_store::schema;
use autopack_testkit::{Dialect, Many};
use autopack_wire::{registry as pb, status::from_status};

use crate::harness::{Harness, PLAN, Place, both, request};

both!(
    pages_of_one_finding_are_together_the_answer_of_all,
    a_token_that_was_not_given_is_refused_by_name,
    a_call_ends_when_its_time_is_used_up,
    a_repair_over_pages_records_each_change_once,
);

/// A clock by which everything takes long.
#[derive(Default)]
struct Slow(AtomicU64);

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(6 * self.0.fetch_add(1, Ordering::Relaxed))
    }
}

async fn diagnose(h: &Harness, limit: u32, page_token: &str) -> pb::DiagnoseResponse {
    let request = pb::DiagnoseRequest {
        limit,
        page_token: page_token.into(),
        ..Default::default()
    };
    let answer = h.clients.doctor().diagnose(request).await;
    answer.unwrap().into_inner()
}

/// All pages of at most so many findings.
async fn pages(h: &Harness, limit: u32) -> Vec<pb::DiagnoseResponse> {
    let mut all: Vec<pb::DiagnoseResponse> = Vec::new();
    loop {
        let token = all.last().map_or("", |page| page.next_page_token.as_str());
        let page = diagnose(h, limit, token).await;
        assert_eq!(page.more, !page.next_page_token.is_empty());
        let last = page.next_page_token.is_empty();
        all.push(page);
        if last {
            return all;
        }
        assert!(all.len() < 100, "the walk does not end");
    }
}

fn sorted<'p>(pages: impl IntoIterator<Item = &'p pb::DiagnoseResponse>) -> Vec<String> {
    let found = pages.into_iter().flat_map(|page| &page.findings);
    let mut all: Vec<String> = found.map(|f| format!("{f:?}")).collect();
    all.sort_unstable();
    all
}

/// Runs `demo-0` to `demo-2`, of which the first two are damaged, and a project that is.
async fn damaged(place: &Place) {
    let h = Harness::start(place).await;
    for n in 0..3 {
        let plan = PLAN.replace("id: demo", &format!("id: demo-{n}"));
        h.create(request(&plan)).await.unwrap();
    }
    h.stop().await;
    for (table, sql) in [
        ("run", "UPDATE run SET state = 'READY' WHERE id = 'demo-0'"),
        (
            "run",
            "UPDATE run SET count_queued = 9, minor_issues = 3 WHERE id = 'demo-1'",
        ),
        ("phase", "UPDATE phase SET tokens_settled = 7 WHERE idx = 1"),
        ("backlog", "UPDATE project SET limits = '{'"),
    ] {
        place.damage(table, sql).await;
    }
}

/// As many runs as several stretches hold, three of them with a state that means another.
async fn many(place: &Place) {
    let h = Harness::start(place).await;
    let held = pb::CreateRunRequest {
        hold: true,
        ..request(PLAN)
    };
    h.create(held).await.unwrap();
    h.stop().await;
    let dialect = if place.base.is_some() {
        Dialect::Postgres
    } else {
        Dialect::Sqlite
    };
    let many = Many {
        runs: 450,
        projects: 2,
        backlog: 3,
    };
    let columns = |name: &str| {
        let table = schema::table(name).unwrap();
        table.columns.iter().map(|c| c.name.to_owned()).collect()
    };
    let filled = many.statements(dialect, "demo", &columns).join(";\n");
    place.damage("run", &filled).await;
    place
        .damage(
            "run",
            "UPDATE run SET state = 'READY' WHERE id IN ('many-99', 'many-299', 'many-399')",
        )
        .await;
}

async fn pages_of_one_finding_are_together_the_answer_of_all(place: Place) {
    damaged(&place).await;
    let h = Harness::start(&place).await;
    let whole = diagnose(&h, 0, "").await;
    assert!(whole.next_page_token.is_empty() && !whole.more);
    assert!(whole.findings.len() > 5, "{:#?}", whole.findings);
    for limit in [1, 2, 1000] {
        let pages = pages(&h, limit).await;
        assert!(pages.iter().all(|p| p.findings.len() <= limit as usize));
        assert_eq!(pages.len() > 1, limit < 1000);
        assert_eq!(sorted(&pages), sorted([&whole]), "{limit}");
        assert_eq!(pages.iter().map(|p| p.rows).sum::<u64>(), whole.rows);
    }
    // As many findings as the limit allows are everything.
    let exact = u32::try_from(whole.findings.len()).unwrap();
    let exact = diagnose(&h, exact, "").await;
    assert_eq!(exact.findings, whole.findings);
    assert!(exact.next_page_token.is_empty() && !exact.more);
    h.stop().await;
}

async fn a_token_that_was_not_given_is_refused_by_name(place: Place) {
    damaged(&place).await;
    let h = Harness::start(&place).await;
    let of_all = diagnose(&h, 1, "").await.next_page_token;
    let ask = async |run: &str, token: &str| {
        let request = pb::DiagnoseRequest {
            run_id: run.into(),
            limit: 1,
            page_token: token.into(),
        };
        h.clients.doctor().diagnose(request).await
    };
    let of_one = ask("demo-1", "").await.unwrap().into_inner();
    let of_one = of_one.next_page_token;
    assert!(ask("demo-1", &of_one).await.is_ok());
    for (run, token) in [
        ("", "everything"),
        ("", of_one.as_str()),
        ("demo-2", of_one.as_str()),
        ("demo-1", of_all.as_str()),
    ] {
        let refused = ask(run, token).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
        assert!(from_status(&refused).is(Reason::PageTokenInvalid));
    }
    let request = pb::RepairRequest {
        page_token: "1~".into(),
        ..Default::default()
    };
    let refused = h.clients.doctor().repair(request).await.unwrap_err();
    assert!(from_status(&refused).is(Reason::PageTokenInvalid));
    h.stop().await;
}

async fn a_call_ends_when_its_time_is_used_up(place: Place) {
    many(&place).await;
    let h = Harness::start(&place).await;
    let whole = diagnose(&h, 0, "").await;
    assert!(whole.next_page_token.is_empty());
    h.stop().await;
    let h = Harness::by_clock(&place, Arc::new(Slow::default())).await;
    let pages = pages(&h, 0).await;
    assert_eq!(pages.len(), 4, "three stretches, and what is of none");
    assert_eq!(sorted(&pages), sorted([&whole]));
    assert_eq!(pages.iter().map(|p| p.rows).sum::<u64>(), whole.rows);
    h.stop().await;
}

async fn a_repair_over_pages_records_each_change_once(place: Place) {
    many(&place).await;
    let h = Harness::by_clock(&place, Arc::new(Slow::default())).await;
    let walk = async |validate_only: bool| {
        let (mut repairs, mut left, mut calls) = (Vec::new(), Vec::new(), 0);
        let mut page_token = String::new();
        loop {
            let request = pb::RepairRequest {
                validate_only,
                page_token,
            };
            let page = h.clients.doctor().repair(request).await;
            let page = page.unwrap().into_inner();
            repairs.extend(page.repairs);
            left.extend(page.left);
            calls += 1;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return (repairs, left, calls);
            }
        }
    };
    let (would, left, calls) = walk(true).await;
    assert_eq!((would.len(), calls), (3, 4), "{would:?}");
    assert_eq!(left.iter().filter(|f| f.safe.is_some()).count(), 3);
    let (done, left, calls) = walk(false).await;
    assert_eq!((done.len(), calls), (3, 4), "{done:?}");
    assert!(
        left.iter().all(|f| f.code == "CONSTRAINT_MISSING"),
        "{left:#?}"
    );
    let (again, _, _) = walk(false).await;
    assert_eq!(again, [], "once");
    let request = pb::ListRepairsRequest { limit: 0 };
    let kept = h.clients.doctor().list_repairs(request).await;
    assert_eq!(kept.unwrap().into_inner().repairs.len(), 3);
    h.stop().await;
}
