-- A member who was erased stays known as such: an event that comes again later must not bring the ids back.

-- +goose Up
ALTER TABLE member ADD COLUMN erased boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE member DROP COLUMN erased;
