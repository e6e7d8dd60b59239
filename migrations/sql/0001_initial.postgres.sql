-- The same tables, columns and order as in the file for SQLite. Texts compare by bytes, as there.
-- `event.sequence` is assigned by the registry: a gapless number that no sequence object can give.

CREATE TABLE project (
  name TEXT COLLATE "C" PRIMARY KEY,
  ruleset TEXT COLLATE "C" NOT NULL DEFAULT '',
  backlog TEXT COLLATE "C" NOT NULL DEFAULT '',
  limits TEXT COLLATE "C" NOT NULL DEFAULT '',
  share BIGINT NOT NULL DEFAULT 1,
  created_at BIGINT NOT NULL
);

CREATE TABLE run (
  uid TEXT COLLATE "C" PRIMARY KEY,
  id TEXT COLLATE "C" NOT NULL,
  id_fold TEXT COLLATE "C" NOT NULL UNIQUE,
  project TEXT COLLATE "C" NOT NULL REFERENCES project (name),
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('QUEUED','PLAN_BOOTSTRAP','RUN_CREATED','PHASE_QUEUEING','PHASE_EXECUTION','GATE','CI_RUNNING','SNAPSHOT_CREATED','DONE_SUCCESS','DONE_FAILED_BUDGET_EXHAUSTED','DONE_FAILED_POLICY_VIOLATION','DONE_FAILED_REQUIRES_HUMAN_REVIEW','DONE_FAILED_ENVIRONMENT','DONE_CANCELLED')),
  version BIGINT NOT NULL,
  last_event BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  held BOOLEAN NOT NULL,
  frozen BOOLEAN NOT NULL,
  started BOOLEAN NOT NULL,
  paused BOOLEAN NOT NULL,
  cancelling BOOLEAN NOT NULL,
  goal TEXT COLLATE "C" NOT NULL,
  base_ref TEXT COLLATE "C" NOT NULL,
  base_sha TEXT COLLATE "C" NOT NULL,
  tip TEXT COLLATE "C" NOT NULL,
  branch TEXT COLLATE "C" NOT NULL,
  repository TEXT COLLATE "C" NOT NULL,
  digest TEXT COLLATE "C" NOT NULL,
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
  cause TEXT COLLATE "C",
  detail TEXT COLLATE "C" NOT NULL,
  facts TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  completed_at BIGINT
);
CREATE INDEX run_by_state ON run (state, created_at);
CREATE INDEX run_by_age ON run (created_at, uid);

CREATE TABLE run_document (
  run_uid TEXT COLLATE "C" PRIMARY KEY REFERENCES run (uid),
  plan TEXT COLLATE "C" NOT NULL,
  strategy TEXT COLLATE "C" NOT NULL,
  source TEXT COLLATE "C" NOT NULL DEFAULT ''
);

CREATE TABLE tier (
  run_uid TEXT COLLATE "C" NOT NULL REFERENCES run (uid),
  idx BIGINT NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('PENDING','IN_PROGRESS','COMPLETE','FAILED','SKIPPED')),
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
  snapshot TEXT COLLATE "C" NOT NULL,
  started_at BIGINT,
  completed_at BIGINT,
  PRIMARY KEY (run_uid, idx),
  UNIQUE (run_uid, id)
);

CREATE TABLE phase (
  run_uid TEXT COLLATE "C" NOT NULL REFERENCES run (uid),
  idx BIGINT NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  tier BIGINT NOT NULL,
  place BIGINT NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('QUEUED','EXECUTING','GATE','CI_RUNNING','COMPLETE','FAILED','SKIPPED')),
  attempts_made BIGINT NOT NULL,
  attempts_charged BIGINT NOT NULL,
  infra_charged BIGINT NOT NULL,
  crashes BIGINT NOT NULL,
  conflicts BIGINT NOT NULL,
  not_before BIGINT,
  cause TEXT COLLATE "C",
  detail TEXT COLLATE "C" NOT NULL,
  commit_sha TEXT COLLATE "C" NOT NULL,
  outcome TEXT COLLATE "C",
  tokens_cap BIGINT,
  tokens_reserved BIGINT NOT NULL,
  tokens_settled BIGINT NOT NULL,
  current_attempt TEXT COLLATE "C",
  started_at BIGINT,
  completed_at BIGINT,
  PRIMARY KEY (run_uid, idx),
  UNIQUE (run_uid, id)
);

CREATE TABLE attempt (
  uid TEXT COLLATE "C" PRIMARY KEY,
  run_uid TEXT COLLATE "C" NOT NULL REFERENCES run (uid),
  phase BIGINT NOT NULL,
  number BIGINT NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('OFFERED','BUILDING','GOVERNING','GATING','LANDING','SUCCEEDED','FAILED','LOST','HANDED_OVER','CANCELLED')),
  job_uid TEXT COLLATE "C" NOT NULL,
  fence BIGINT NOT NULL,
  worker_uid TEXT COLLATE "C",
  tip TEXT COLLATE "C" NOT NULL,
  tree TEXT COLLATE "C" NOT NULL,
  commit_sha TEXT COLLATE "C" NOT NULL,
  intent_tip TEXT COLLATE "C",
  intent_tree TEXT COLLATE "C",
  intent_commit TEXT COLLATE "C",
  intent_resolved BOOLEAN,
  cause TEXT COLLATE "C",
  detail TEXT COLLATE "C" NOT NULL,
  gate TEXT COLLATE "C" NOT NULL,
  tests BIGINT,
  tokens_reserved BIGINT NOT NULL,
  tokens_used BIGINT NOT NULL,
  offered_at BIGINT NOT NULL,
  leased_at BIGINT,
  finished_at BIGINT,
  artifacts TEXT COLLATE "C" NOT NULL,
  facts TEXT COLLATE "C" NOT NULL
);
CREATE INDEX attempt_by_run ON attempt (run_uid, phase, number);

CREATE TABLE job (
  uid TEXT COLLATE "C" PRIMARY KEY,
  run_uid TEXT COLLATE "C" NOT NULL REFERENCES run (uid),
  kind TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('OFFERED','LEASED','DONE')),
  fence BIGINT NOT NULL,
  worker_uid TEXT COLLATE "C",
  failures BIGINT NOT NULL,
  not_before BIGINT
);
CREATE INDEX job_by_run ON job (run_uid);

-- The event log is the outbox: a gapless sequence, one relay, one cursor.
CREATE TABLE event (
  sequence BIGINT PRIMARY KEY,
  uid TEXT COLLATE "C" NOT NULL,
  run_uid TEXT COLLATE "C" NOT NULL,
  run_sequence BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  body BYTEA NOT NULL
);
CREATE UNIQUE INDEX event_by_run ON event (run_uid, run_sequence);

CREATE TABLE relay_cursor (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  sequence BIGINT NOT NULL
);
INSERT INTO relay_cursor (id, sequence) VALUES (1, 0);

CREATE TABLE usage_event (
  run_uid TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  phase BIGINT NOT NULL,
  attempt_uid TEXT COLLATE "C" NOT NULL,
  provider TEXT COLLATE "C" NOT NULL,
  model TEXT COLLATE "C" NOT NULL,
  role TEXT COLLATE "C" NOT NULL,
  purpose TEXT COLLATE "C" NOT NULL,
  total BIGINT NOT NULL,
  prompt BIGINT,
  completion BIGINT,
  provenance TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (run_uid, number)
);

CREATE TABLE failure (
  run_uid TEXT COLLATE "C" NOT NULL,
  attempt_uid TEXT COLLATE "C" NOT NULL,
  phase BIGINT NOT NULL,
  cause TEXT COLLATE "C" NOT NULL,
  class TEXT COLLATE "C" NOT NULL,
  signature TEXT COLLATE "C" NOT NULL,
  raw TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (run_uid, attempt_uid)
);

CREATE TABLE request (
  id TEXT COLLATE "C" PRIMARY KEY,
  method TEXT COLLATE "C" NOT NULL,
  digest TEXT COLLATE "C" NOT NULL,
  run_uid TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL
);

CREATE TABLE registry_epoch (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  epoch BIGINT NOT NULL
);
INSERT INTO registry_epoch (id, epoch) VALUES (1, 0);
