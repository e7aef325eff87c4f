-- A payload may be null: what a compacted topic has kept of the key then goes. Empty is something else, a message in
-- which every field has its zero value.

-- +goose Up
ALTER TABLE outbox ALTER COLUMN payload DROP NOT NULL;

-- +goose Down
UPDATE outbox SET payload = '' WHERE payload IS NULL;
ALTER TABLE outbox ALTER COLUMN payload SET NOT NULL;
