-- A parked event keeps its record's key: an event whose ce_subject is not its key is parked for that, and a replay
-- that took the subject for the key would find nothing wrong with it any more.

-- +goose Up
ALTER TABLE parked_event ADD COLUMN key bytea; -- NULL, of an earlier release: the subject

-- +goose Down
ALTER TABLE parked_event DROP COLUMN key;
