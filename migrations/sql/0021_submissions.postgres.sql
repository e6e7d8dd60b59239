-- Where an `external` phase stands between its submissions: what it waits for, and the result at hand.
ALTER TABLE phase ADD COLUMN handoff TEXT COLLATE "C";
