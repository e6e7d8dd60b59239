-- What the database says about itself, and what the self-check has mended. A repair is never changed or removed.

CREATE TABLE schema_documentation (
  table_name TEXT NOT NULL,
  column_name TEXT NOT NULL,
  description TEXT NOT NULL,
  data_type TEXT NOT NULL,
  required BOOLEAN NOT NULL,
  default_value TEXT,
  default_source TEXT NOT NULL,
  allowed_values TEXT NOT NULL,
  example_value TEXT NOT NULL,
  json_schema TEXT,
  PRIMARY KEY (table_name, column_name)
) WITHOUT ROWID;

CREATE TABLE schema_examples (
  table_name TEXT NOT NULL,
  name TEXT NOT NULL,
  example TEXT NOT NULL,
  PRIMARY KEY (table_name, name)
) WITHOUT ROWID;

CREATE TABLE repair (
  uid TEXT PRIMARY KEY,
  table_name TEXT NOT NULL,
  row_key TEXT NOT NULL,
  column_name TEXT NOT NULL,
  run_uid TEXT NOT NULL,
  before_value TEXT NOT NULL,
  after_value TEXT NOT NULL,
  rule TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX repair_by_age ON repair (at, uid);
CREATE TRIGGER repair_is_never_changed BEFORE UPDATE ON repair
BEGIN SELECT RAISE(ABORT, 'a repair is never changed'); END;
CREATE TRIGGER repair_is_never_removed BEFORE DELETE ON repair
BEGIN SELECT RAISE(ABORT, 'a repair is never removed'); END;
