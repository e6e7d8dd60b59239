-- Who holds the epoch and where it is reached; and the last batch of commands that was committed, by which
-- a commit whose answer was lost is settled.
ALTER TABLE registry_epoch ADD COLUMN instance TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE registry_epoch ADD COLUMN address TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE registry_epoch ADD COLUMN last_batch TEXT COLLATE "C" NOT NULL DEFAULT '';
