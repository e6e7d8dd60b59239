-- Promotions of runs, how integration branches stand in the target repositories, and the jobs that are live.

CREATE TABLE promotion (
  uid TEXT COLLATE "C" PRIMARY KEY,
  run_uid TEXT COLLATE "C" NOT NULL REFERENCES run (uid),
  strategy TEXT COLLATE "C" NOT NULL,
  target_branch TEXT COLLATE "C" NOT NULL,
  expected_tip TEXT COLLATE "C" NOT NULL,
  pull_request BOOLEAN NOT NULL,
  requested_by TEXT COLLATE "C" NOT NULL,
  request_id TEXT COLLATE "C" NOT NULL,
  tested_commit TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('PENDING','LANDED','ALREADY_THERE','OPENED','FAILED')),
  intent_from TEXT COLLATE "C",
  intent_commit TEXT COLLATE "C",
  landed_commit TEXT COLLATE "C" NOT NULL,
  url TEXT COLLATE "C" NOT NULL,
  cause TEXT COLLATE "C",
  detail TEXT COLLATE "C" NOT NULL,
  requested_at BIGINT NOT NULL,
  finished_at BIGINT
);
CREATE INDEX promotion_by_run ON promotion (run_uid, requested_at);

CREATE TABLE integration_status (
  run_uid TEXT COLLATE "C" PRIMARY KEY REFERENCES run (uid),
  target_branch TEXT COLLATE "C" NOT NULL,
  requested_at BIGINT NOT NULL,
  looked_at BIGINT,
  tip TEXT COLLATE "C" NOT NULL,
  commits BIGINT NOT NULL,
  base_branch TEXT COLLATE "C" NOT NULL,
  base_tip TEXT COLLATE "C" NOT NULL,
  base_ahead BIGINT NOT NULL,
  base_behind BIGINT NOT NULL,
  target_seen TEXT COLLATE "C" NOT NULL,
  target_tip TEXT COLLATE "C" NOT NULL,
  target_ahead BIGINT NOT NULL,
  target_behind BIGINT NOT NULL,
  cause TEXT COLLATE "C",
  detail TEXT COLLATE "C" NOT NULL
);

-- Few jobs are live; those of runs that have ended are found by this.
CREATE INDEX job_live ON job (run_uid) WHERE state <> 'DONE';
