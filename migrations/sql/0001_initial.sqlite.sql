-- Times are BIGINT microseconds, ids and JSON are text. CHECK constraints stand on closed state sets only;
-- a test compares them with libs/domain.

CREATE TABLE project (
  name TEXT PRIMARY KEY,
  ruleset TEXT NOT NULL DEFAULT '',
  backlog TEXT NOT NULL DEFAULT '',
  limits TEXT NOT NULL DEFAULT '',
  share BIGINT NOT NULL DEFAULT 1,
  created_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE run (
  uid TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  id_fold TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL REFERENCES project (name),
  state TEXT NOT NULL CHECK (state IN ('QUEUED','PLAN_BOOTSTRAP','RUN_CREATED','PHASE_QUEUEING','PHASE_EXECUTION','GATE','CI_RUNNING','SNAPSHOT_CREATED','DONE_SUCCESS','DONE_FAILED_BUDGET_EXHAUSTED','DONE_FAILED_POLICY_VIOLATION','DONE_FAILED_REQUIRES_HUMAN_REVIEW','DONE_FAILED_ENVIRONMENT','DONE_CANCELLED')),
  version BIGINT NOT NULL,
  last_event BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  held BOOLEAN NOT NULL,
  frozen BOOLEAN NOT NULL,
  started BOOLEAN NOT NULL,
  paused BOOLEAN NOT NULL,
  cancelling BOOLEAN NOT NULL,
  goal TEXT NOT NULL,
  base_ref TEXT NOT NULL,
  base_sha TEXT NOT NULL,
  tip TEXT NOT NULL,
  branch TEXT NOT NULL,
  repository TEXT NOT NULL,
  digest TEXT NOT NULL,
  priority BIGINT NOT NULL,
  tokens_cap BIGINT,
  tokens_reserved BIGINT NOT NULL,
  tokens_settled BIGINT NOT NULL,
  phases_cap BIGINT NOT NULL,
  phases_used BIGINT NOT NULL,
  minutes_cap BIGINT NOT NULL,
  first_lease_at BIGINT,
  paused_at BIGINT,
  paused_us BIGINT NOT NULL,
  count_queued BIGINT NOT NULL,
  count_executing BIGINT NOT NULL,
  count_gate BIGINT NOT NULL,
  count_ci_running BIGINT NOT NULL,
  count_complete BIGINT NOT NULL,
  count_failed BIGINT NOT NULL,
  count_skipped BIGINT NOT NULL,
  open_intents BIGINT NOT NULL,
  cause TEXT,
  detail TEXT NOT NULL,
  facts TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  completed_at BIGINT
) WITHOUT ROWID;
CREATE INDEX run_by_state ON run (state, created_at);
CREATE INDEX run_by_age ON run (created_at, uid);

CREATE TABLE run_document (
  run_uid TEXT PRIMARY KEY REFERENCES run (uid),
  plan TEXT NOT NULL,
  strategy TEXT NOT NULL,
  source TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE tier (
  run_uid TEXT NOT NULL REFERENCES run (uid),
  idx BIGINT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('PENDING','IN_PROGRESS','COMPLETE','FAILED','SKIPPED')),
  count_queued BIGINT NOT NULL,
  count_executing BIGINT NOT NULL,
  count_gate BIGINT NOT NULL,
  count_ci_running BIGINT NOT NULL,
  count_complete BIGINT NOT NULL,
  count_failed BIGINT NOT NULL,
  count_skipped BIGINT NOT NULL,
  tokens_cap BIGINT,
  tokens_reserved BIGINT NOT NULL,
  tokens_settled BIGINT NOT NULL,
  ci_runs_cap BIGINT,
  ci_runs_settled BIGINT NOT NULL,
  snapshot TEXT NOT NULL,
  started_at BIGINT,
  completed_at BIGINT,
  PRIMARY KEY (run_uid, idx),
  UNIQUE (run_uid, id)
) WITHOUT ROWID;

CREATE TABLE phase (
  run_uid TEXT NOT NULL REFERENCES run (uid),
  idx BIGINT NOT NULL,
  id TEXT NOT NULL,
  tier BIGINT NOT NULL,
  place BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('QUEUED','EXECUTING','GATE','CI_RUNNING','COMPLETE','FAILED','SKIPPED')),
  attempts_made BIGINT NOT NULL,
  attempts_charged BIGINT NOT NULL,
  infra_charged BIGINT NOT NULL,
  crashes BIGINT NOT NULL,
  conflicts BIGINT NOT NULL,
  not_before BIGINT,
  cause TEXT,
  detail TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  outcome TEXT,
  tokens_cap BIGINT,
  tokens_reserved BIGINT NOT NULL,
  tokens_settled BIGINT NOT NULL,
  current_attempt TEXT,
  started_at BIGINT,
  completed_at BIGINT,
  PRIMARY KEY (run_uid, idx),
  UNIQUE (run_uid, id)
) WITHOUT ROWID;

CREATE TABLE attempt (
  uid TEXT PRIMARY KEY,
  run_uid TEXT NOT NULL REFERENCES run (uid),
  phase BIGINT NOT NULL,
  number BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('OFFERED','BUILDING','GOVERNING','GATING','LANDING','SUCCEEDED','FAILED','LOST','HANDED_OVER','CANCELLED')),
  job_uid TEXT NOT NULL,
  fence BIGINT NOT NULL,
  worker_uid TEXT,
  tip TEXT NOT NULL,
  tree TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  intent_tip TEXT,
  intent_tree TEXT,
  intent_commit TEXT,
  intent_resolved BOOLEAN,
  cause TEXT,
  detail TEXT NOT NULL,
  gate TEXT NOT NULL,
  tests BIGINT,
  tokens_reserved BIGINT NOT NULL,
  tokens_used BIGINT NOT NULL,
  offered_at BIGINT NOT NULL,
  leased_at BIGINT,
  finished_at BIGINT,
  artifacts TEXT NOT NULL,
  facts TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX attempt_by_run ON attempt (run_uid, phase, number);

CREATE TABLE job (
  uid TEXT PRIMARY KEY,
  run_uid TEXT NOT NULL REFERENCES run (uid),
  kind TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('OFFERED','LEASED','DONE')),
  fence BIGINT NOT NULL,
  worker_uid TEXT,
  failures BIGINT NOT NULL,
  not_before BIGINT
) WITHOUT ROWID;
CREATE INDEX job_by_run ON job (run_uid);

-- The event log is the outbox: a gapless sequence, one relay, one cursor.
CREATE TABLE event (
  sequence INTEGER PRIMARY KEY,
  uid TEXT NOT NULL,
  run_uid TEXT NOT NULL,
  run_sequence BIGINT NOT NULL,
  kind TEXT NOT NULL,
  at BIGINT NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX event_by_run ON event (run_uid, run_sequence);

CREATE TABLE relay_cursor (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  sequence BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO relay_cursor (id, sequence) VALUES (1, 0);

CREATE TABLE usage_event (
  run_uid TEXT NOT NULL,
  number BIGINT NOT NULL,
  phase BIGINT NOT NULL,
  attempt_uid TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  role TEXT NOT NULL,
  purpose TEXT NOT NULL,
  total BIGINT NOT NULL,
  prompt BIGINT,
  completion BIGINT,
  provenance TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (run_uid, number)
) WITHOUT ROWID;

CREATE TABLE failure (
  run_uid TEXT NOT NULL,
  attempt_uid TEXT NOT NULL,
  phase BIGINT NOT NULL,
  cause TEXT NOT NULL,
  class TEXT NOT NULL,
  signature TEXT NOT NULL,
  raw TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (run_uid, attempt_uid)
) WITHOUT ROWID;

CREATE TABLE request (
  id TEXT PRIMARY KEY,
  method TEXT NOT NULL,
  digest TEXT NOT NULL,
  run_uid TEXT NOT NULL,
  at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE registry_epoch (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  epoch BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO registry_epoch (id, epoch) VALUES (1, 0);
