-- How far the event log was told to the collector of traces. Without a row nothing was told yet.

CREATE TABLE trace_cursor (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  sequence BIGINT NOT NULL
);
