-- One random id for each database, made here and never changed: peers tell by it whether they work on the same one.
CREATE TABLE database_identity (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    identity TEXT NOT NULL CHECK (length(identity) = 32)
) WITHOUT ROWID;
INSERT INTO database_identity (id, identity) VALUES (1, lower(hex(randomblob(16))));
