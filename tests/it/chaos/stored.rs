//! What must hold in the database, as queries that find what does not.
//!
//! Invariant: each query reads tables only, beneath the product's code, and finds nothing where all is well.

use autopack_testkit::TestDatabase;

/// What is wrong if the query finds a row, and the query.
const CHECKS: &[(&str, &str)] = &[
    // I1
    (
        "a complete phase has one accepted attempt",
        "SELECT p.id, count(a.uid) FROM phase p LEFT JOIN attempt a ON a.run_uid = p.run_uid AND a.phase = p.idx \
         AND (a.state = 'SUCCEEDED' OR a.commit_sha <> '') WHERE p.state = 'COMPLETE' GROUP BY p.run_uid, p.id \
         HAVING count(a.uid) <> 1",
    ),
    (
        "the accepted attempt made the phase's commit",
        "SELECT p.id, a.number, a.commit_sha, p.commit_sha FROM phase p JOIN attempt a ON a.run_uid = p.run_uid \
         AND a.phase = p.idx WHERE (a.state = 'SUCCEEDED' OR a.commit_sha <> '') AND a.commit_sha <> p.commit_sha",
    ),
    (
        "a phase that did not complete has no accepted attempt",
        "SELECT p.id, a.number FROM phase p JOIN attempt a ON a.run_uid = p.run_uid AND a.phase = p.idx \
         WHERE p.state <> 'COMPLETE' AND (a.state = 'SUCCEEDED' OR a.commit_sha <> '')",
    ),
    // I2
    (
        "fences of a phase rise",
        "SELECT phase, number, fence, before FROM (SELECT *, lag(fence) OVER (PARTITION BY run_uid, phase \
         ORDER BY number) AS before FROM attempt WHERE fence > 0) f WHERE fence <= before",
    ),
    (
        "a fence is given once",
        "SELECT fence, count(*) FROM attempt WHERE fence > 0 GROUP BY run_uid, fence HAVING count(*) > 1",
    ),
    (
        "attempts are numbered without a gap",
        "SELECT p.id, p.attempts_made, count(a.uid) FROM phase p LEFT JOIN attempt a ON a.run_uid = p.run_uid \
         AND a.phase = p.idx GROUP BY p.run_uid, p.id, p.attempts_made \
         HAVING count(a.uid) <> p.attempts_made OR max(a.number) <> p.attempts_made",
    ),
    // I4
    (
        "everything has ended",
        "SELECT p.id, a.number, a.state FROM attempt a JOIN phase p ON a.run_uid = p.run_uid AND a.phase = p.idx \
         WHERE a.state NOT IN ('SUCCEEDED','FAILED','LOST','HANDED_OVER','CANCELLED') OR a.finished_at IS NULL",
    ),
    (
        "jobs are done",
        "SELECT kind, state FROM job WHERE state <> 'DONE'",
    ),
    (
        "every ended attempt was told once",
        "SELECT r.id, e.count, a.count FROM run r, \
         LATERAL (SELECT count(*) FROM event WHERE run_uid = r.uid AND kind = 'attempt_finished') e, \
         LATERAL (SELECT count(*) FROM attempt WHERE run_uid = r.uid) a WHERE e.count <> a.count",
    ),
    (
        "every completion was told once",
        "SELECT r.id, e.count, r.count_complete FROM run r, LATERAL (SELECT count(*) FROM event \
         WHERE run_uid = r.uid AND kind = 'phase_completed') e WHERE e.count <> r.count_complete",
    ),
    (
        "the end was told once",
        "SELECT r.id, e.count FROM run r, LATERAL (SELECT count(*) FROM event \
         WHERE run_uid = r.uid AND kind = 'run_finished') e WHERE e.count <> 1",
    ),
    // I5
    (
        "events of a run have no gap",
        "SELECT r.id, r.last_event, count(*), min(run_sequence), max(run_sequence) FROM event e \
         JOIN run r ON r.uid = e.run_uid GROUP BY r.id, r.last_event \
         HAVING count(*) <> max(run_sequence) OR min(run_sequence) <> 1 OR r.last_event <> max(run_sequence)",
    ),
    (
        "the log has no gap",
        "SELECT count(*), min(sequence), max(sequence) FROM event \
         HAVING count(*) <> max(sequence) OR min(sequence) <> 1",
    ),
    // I8
    (
        "nothing is reserved",
        "SELECT 'run', id, tokens_reserved FROM run WHERE tokens_reserved <> 0 UNION ALL \
         SELECT 'tier', id, tokens_reserved FROM tier WHERE tokens_reserved <> 0 UNION ALL \
         SELECT 'phase', id, tokens_reserved FROM phase WHERE tokens_reserved <> 0",
    ),
    (
        "a phase is settled at what its attempts used",
        "SELECT p.id, p.tokens_settled, sum(a.tokens_used) FROM phase p JOIN attempt a ON a.run_uid = p.run_uid \
         AND a.phase = p.idx GROUP BY p.run_uid, p.id, p.tokens_settled HAVING p.tokens_settled <> sum(a.tokens_used)",
    ),
    (
        "a tier is settled at what its phases were",
        "SELECT t.id, t.tokens_settled, sum(p.tokens_settled) FROM tier t JOIN phase p ON p.run_uid = t.run_uid \
         AND p.tier = t.idx GROUP BY t.run_uid, t.id, t.tokens_settled HAVING t.tokens_settled <> sum(p.tokens_settled)",
    ),
    (
        "a run is settled at what its tiers were",
        "SELECT r.id, r.tokens_settled, sum(t.tokens_settled) FROM run r JOIN tier t ON t.run_uid = r.uid \
         GROUP BY r.id, r.tokens_settled HAVING r.tokens_settled <> sum(t.tokens_settled)",
    ),
    (
        "no budget is overshot",
        "SELECT id, tokens_settled, tokens_cap, phases_used, phases_cap FROM run \
         WHERE tokens_settled > tokens_cap OR phases_used > phases_cap",
    ),
    (
        "tokens of an accepted attempt are counted once",
        "SELECT a.phase, a.number, a.tokens_used, sum(u.total) FROM attempt a \
         LEFT JOIN usage_event u ON u.attempt_uid = a.uid WHERE a.state = 'SUCCEEDED' \
         GROUP BY a.uid HAVING sum(u.total) IS DISTINCT FROM a.tokens_used",
    ),
    (
        "counters of a run equal a recount",
        "SELECT r.id, r.count_queued, r.count_executing, r.count_gate, r.count_ci_running, r.count_complete, \
         r.count_failed, r.count_skipped FROM run r JOIN phase p ON p.run_uid = r.uid GROUP BY r.uid HAVING \
         r.count_queued <> count(*) FILTER (WHERE p.state = 'QUEUED') OR \
         r.count_executing <> count(*) FILTER (WHERE p.state = 'EXECUTING') OR \
         r.count_gate <> count(*) FILTER (WHERE p.state = 'GATE') OR \
         r.count_ci_running <> count(*) FILTER (WHERE p.state = 'CI_RUNNING') OR \
         r.count_complete <> count(*) FILTER (WHERE p.state = 'COMPLETE') OR \
         r.count_failed <> count(*) FILTER (WHERE p.state = 'FAILED') OR \
         r.count_skipped <> count(*) FILTER (WHERE p.state = 'SKIPPED')",
    ),
    (
        "no landing is open",
        "SELECT id, open_intents::text FROM run WHERE open_intents <> 0 UNION ALL \
         SELECT uid, intent_commit FROM attempt WHERE intent_commit IS NOT NULL AND intent_resolved IS NOT TRUE",
    ),
    (
        "a fault of the machine charges no builder",
        "SELECT id, attempts_charged FROM phase WHERE attempts_charged <> 0 AND state = 'COMPLETE'",
    ),
];

/// Runs every query.
#[track_caller]
pub(crate) fn check(database: &TestDatabase<'_>) {
    let all: Vec<String> = CHECKS
        .iter()
        .map(|(name, query)| {
            format!("SELECT $${name}: not so for $$ || found::text FROM ({query}) found")
        })
        .collect();
    match database.try_sql(&all.join(" UNION ALL ")) {
        Ok(found) => assert_eq!(found, "", "the database contradicts itself"),
        Err(error) => panic!("{error}"),
    }
}
