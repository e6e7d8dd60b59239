-- What the database says about itself, and what the self-check has mended. A repair is never changed or removed.

CREATE TABLE schema_documentation (
  table_name TEXT COLLATE "C" NOT NULL,
  column_name TEXT COLLATE "C" NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  data_type TEXT COLLATE "C" NOT NULL,
  required BOOLEAN NOT NULL,
  default_value TEXT COLLATE "C",
  default_source TEXT COLLATE "C" NOT NULL,
  allowed_values TEXT COLLATE "C" NOT NULL,
  example_value TEXT COLLATE "C" NOT NULL,
  json_schema TEXT COLLATE "C",
  PRIMARY KEY (table_name, column_name)
);

CREATE TABLE schema_examples (
  table_name TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  example TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (table_name, name)
);

CREATE TABLE repair (
  uid TEXT COLLATE "C" PRIMARY KEY,
  table_name TEXT COLLATE "C" NOT NULL,
  row_key TEXT COLLATE "C" NOT NULL,
  column_name TEXT COLLATE "C" NOT NULL,
  run_uid TEXT COLLATE "C" NOT NULL,
  before_value TEXT COLLATE "C" NOT NULL,
  after_value TEXT COLLATE "C" NOT NULL,
  rule TEXT COLLATE "C" NOT NULL,
  epoch BIGINT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX repair_by_age ON repair (at, uid);
CREATE FUNCTION repair_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a repair is never changed or removed';
END
$$;
CREATE TRIGGER repair_is_never_changed BEFORE UPDATE OR DELETE ON repair
FOR EACH ROW EXECUTE FUNCTION repair_stays();
