-- Since when nothing is new of a parcel, for those who look into parcels that nobody tells of any more.

-- +goose Up
ALTER TABLE parcel_watch ADD COLUMN news_at timestamptz NOT NULL DEFAULT clock_timestamp();

-- +goose Down
ALTER TABLE parcel_watch DROP COLUMN news_at;
