-- Every list of runs is a walk along one index, from any page on and under each filter; the uid breaks ties.

DROP INDEX run_by_state;
DROP INDEX run_by_project;
CREATE INDEX run_by_state ON run (state, created_at, uid);
CREATE INDEX run_by_project ON run (project, state, created_at, uid);
CREATE INDEX run_by_project_age ON run (project, created_at, uid);
