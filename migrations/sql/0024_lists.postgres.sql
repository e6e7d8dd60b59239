-- Every list of runs is a walk along one index, from any page on and under each filter; the uid breaks ties.

DROP INDEX run_by_state;
DROP INDEX run_by_project;
CREATE INDEX run_by_state ON run (state, created_at, uid);
CREATE INDEX run_by_project ON run (project, state, created_at, uid);
CREATE INDEX run_by_project_age ON run (project, created_at, uid);

-- Few runs have not ended; a start finds them by this, however many have.
CREATE INDEX run_open ON run (state, uid) WHERE state IS NULL OR state NOT IN ('DONE_SUCCESS','DONE_FAILED_BUDGET_EXHAUSTED','DONE_FAILED_POLICY_VIOLATION','DONE_FAILED_REQUIRES_HUMAN_REVIEW','DONE_FAILED_ENVIRONMENT','DONE_CANCELLED');
