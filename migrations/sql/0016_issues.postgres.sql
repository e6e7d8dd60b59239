-- Issues on three levels: of a phase (or of the run itself: phase -1), counted once per phase, tier and run, and the
-- backlog of a project. Counts are computed from the rows of `issue` and written in the same transaction.

CREATE TABLE issue (
  run_uid TEXT COLLATE "C" NOT NULL REFERENCES run (uid),
  phase BIGINT NOT NULL,
  issue_key TEXT COLLATE "C" NOT NULL,
  severity TEXT COLLATE "C" NOT NULL CHECK (severity IN ('minor','major')),
  effective_severity TEXT COLLATE "C" NOT NULL CHECK (effective_severity IN ('minor','major')),
  source TEXT COLLATE "C" NOT NULL,
  category TEXT COLLATE "C" NOT NULL,
  task_category TEXT COLLATE "C" NOT NULL,
  complexity TEXT COLLATE "C" NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  evidence TEXT COLLATE "C" NOT NULL,
  paths TEXT COLLATE "C" NOT NULL,
  occurrences BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  attempt_uid TEXT COLLATE "C",
  resolved_at BIGINT,
  PRIMARY KEY (run_uid, phase, issue_key)
);

CREATE TABLE backlog (
  project TEXT COLLATE "C" NOT NULL REFERENCES project (name),
  issue_key TEXT COLLATE "C" NOT NULL,
  category TEXT COLLATE "C" NOT NULL,
  severity TEXT COLLATE "C" NOT NULL CHECK (severity IN ('minor','major')),
  age_in_runs BIGINT NOT NULL,
  age_in_tiers BIGINT NOT NULL,
  seen_in_tiers TEXT COLLATE "C" NOT NULL,
  occurrences BIGINT NOT NULL,
  paths TEXT COLLATE "C" NOT NULL,
  first_seen_run TEXT COLLATE "C" NOT NULL,
  first_seen_at BIGINT NOT NULL,
  last_seen_run TEXT COLLATE "C" NOT NULL,
  last_seen_at BIGINT NOT NULL,
  cleaned_run TEXT COLLATE "C",
  cleaned_at BIGINT,
  PRIMARY KEY (project, issue_key)
);
CREATE INDEX backlog_by_age ON backlog (project, age_in_runs, age_in_tiers, issue_key);

-- The latest successful runs of a project, by which an entry that is no longer seen is resolved.
CREATE INDEX run_by_project ON run (project, state, created_at);

ALTER TABLE run ADD COLUMN minor_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN major_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN resolved_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tier ADD COLUMN minor_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tier ADD COLUMN major_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tier ADD COLUMN resolved_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE phase ADD COLUMN minor_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE phase ADD COLUMN major_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE phase ADD COLUMN resolved_issues BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN debt_status TEXT COLLATE "C" NOT NULL DEFAULT 'clean' CHECK (debt_status IN ('clean','has_minor_issues','excess_minor_issues'));
ALTER TABLE tier ADD COLUMN cleanliness TEXT COLLATE "C" NOT NULL DEFAULT 'clean' CHECK (cleanliness IN ('clean','not_clean'));
ALTER TABLE phase ADD COLUMN issue_state TEXT COLLATE "C" NOT NULL DEFAULT 'no_issues' CHECK (issue_state IN ('no_issues','has_minor_issues','has_major_issues'));
