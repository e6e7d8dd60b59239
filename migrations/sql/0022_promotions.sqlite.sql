-- Promotions of runs, how integration branches stand in the target repositories, and the jobs that are live.

CREATE TABLE promotion (
  uid TEXT PRIMARY KEY,
  run_uid TEXT NOT NULL REFERENCES run (uid),
  strategy TEXT NOT NULL,
  target_branch TEXT NOT NULL,
  expected_tip TEXT NOT NULL,
  pull_request BOOLEAN NOT NULL,
  requested_by TEXT NOT NULL,
  request_id TEXT NOT NULL,
  tested_commit TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('PENDING','LANDED','ALREADY_THERE','OPENED','FAILED')),
  intent_from TEXT,
  intent_commit TEXT,
  landed_commit TEXT NOT NULL,
  url TEXT NOT NULL,
  cause TEXT,
  detail TEXT NOT NULL,
  requested_at BIGINT NOT NULL,
  finished_at BIGINT
) WITHOUT ROWID;
CREATE INDEX promotion_by_run ON promotion (run_uid, requested_at);

CREATE TABLE integration_status (
  run_uid TEXT PRIMARY KEY REFERENCES run (uid),
  target_branch TEXT NOT NULL,
  requested_at BIGINT NOT NULL,
  looked_at BIGINT,
  tip TEXT NOT NULL,
  commits BIGINT NOT NULL,
  base_branch TEXT NOT NULL,
  base_tip TEXT NOT NULL,
  base_ahead BIGINT NOT NULL,
  base_behind BIGINT NOT NULL,
  target_seen TEXT NOT NULL,
  target_tip TEXT NOT NULL,
  target_ahead BIGINT NOT NULL,
  target_behind BIGINT NOT NULL,
  cause TEXT,
  detail TEXT NOT NULL
) WITHOUT ROWID;

-- Few jobs are live; those of runs that have ended are found by this.
CREATE INDEX job_live ON job (run_uid) WHERE state <> 'DONE';
