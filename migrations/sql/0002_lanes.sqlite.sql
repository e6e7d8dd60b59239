-- Lanes that somebody paused, or paused once. A lane without a row is not paused.

CREATE TABLE lane (
  name TEXT PRIMARY KEY,
  paused BOOLEAN NOT NULL,
  changed_at BIGINT NOT NULL
) WITHOUT ROWID;
