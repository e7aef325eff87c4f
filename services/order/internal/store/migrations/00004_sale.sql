-- When a product is sold, and how much of it in one order, as stock's product events say.

-- +goose Up
ALTER TABLE price
    ADD COLUMN sale_starts_at timestamptz,
    ADD COLUMN sale_ends_at   timestamptz,              -- the first moment after the sale
    ADD COLUMN max_per_order  bigint NOT NULL DEFAULT 0; -- 0: any

-- +goose Down
ALTER TABLE price DROP COLUMN sale_starts_at, DROP COLUMN sale_ends_at, DROP COLUMN max_per_order;
