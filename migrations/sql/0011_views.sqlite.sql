-- What telemetry may see. A view is a promise: columns are added in a new version of it, never changed. Addresses of
-- repositories (they may hold credentials), fences and rules stay behind.

CREATE VIEW v1_run AS SELECT
  uid, id, project, state, last_event, revision, held, frozen, started, paused, cancelling, goal, base_ref,
  base_sha, tip, branch, digest, priority, tokens_cap, tokens_reserved, tokens_settled, phases_cap,
  phases_used, minutes_cap, first_lease_at, paused_at, paused_us, count_queued, count_executing, count_gate,
  count_ci_running, count_complete, count_failed, count_skipped, open_intents, cause, detail, facts,
  created_at, started_at, completed_at
FROM run;

CREATE VIEW v1_tier AS SELECT
  run_uid, idx, id, state, count_queued, count_executing, count_gate, count_ci_running, count_complete,
  count_failed, count_skipped, tokens_cap, tokens_reserved, tokens_settled, ci_runs_cap, ci_runs_settled,
  snapshot, started_at, completed_at
FROM tier;

CREATE VIEW v1_phase AS SELECT
  run_uid, idx, id, tier, place, state, attempts_made, attempts_charged, infra_charged, crashes, conflicts,
  not_before, cause, detail, commit_sha, outcome, tokens_cap, tokens_reserved, tokens_settled,
  current_attempt, started_at, completed_at
FROM phase;

CREATE VIEW v1_attempt AS SELECT
  uid, run_uid, phase, number, state, job_uid, worker_uid, tip, tree, commit_sha, intent_tip, intent_tree,
  intent_commit, intent_resolved, cause, detail, gate, tests, tokens_reserved, tokens_used, offered_at,
  leased_at, finished_at, artifacts, facts
FROM attempt;

CREATE VIEW v1_job AS SELECT
  uid, run_uid, kind, state, worker_uid, failures, not_before
FROM job;

CREATE VIEW v1_usage AS SELECT
  run_uid, number, phase, attempt_uid, provider, model, role, purpose, total, prompt, completion, provenance,
  at
FROM usage_event;

CREATE VIEW v1_failure AS SELECT
  run_uid, attempt_uid, phase, cause, class, signature, raw, at
FROM failure;

CREATE VIEW v1_event AS SELECT
  sequence, uid, run_uid, run_sequence, kind, at
FROM event;

CREATE VIEW v1_project AS SELECT
  name, share, created_at
FROM project;
