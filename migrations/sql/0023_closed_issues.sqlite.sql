-- Entries of backlogs that an operator closed, with the reason.
ALTER TABLE backlog ADD COLUMN closed_note TEXT;
ALTER TABLE backlog ADD COLUMN closed_at BIGINT;
