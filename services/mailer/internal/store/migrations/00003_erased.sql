-- A member who was erased stays known as such, without an address: an event that comes again later must not bring it back.

-- +goose Up
ALTER TABLE contact ADD COLUMN erased boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT contact_erased_means_empty CHECK (NOT erased OR (email = '' AND name = '' AND language = ''));

-- +goose Down
ALTER TABLE contact DROP COLUMN erased;
