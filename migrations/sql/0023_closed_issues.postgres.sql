-- Entries of backlogs that an operator closed, with the reason.
ALTER TABLE backlog ADD COLUMN closed_note TEXT COLLATE "C";
ALTER TABLE backlog ADD COLUMN closed_at BIGINT;
