-- The self-check of one run reads its requests, however many there are of others.

CREATE INDEX request_by_run ON request (run_uid, id);
