-- Products and what was taken of them. Ids are text in byte order (COLLATE "C"), so that ORDER BY here
-- and sorting in Go agree, and every replica locks products in the same order.

-- +goose Up
-- A product everybody wants is one row that every batch updates: half of each page stays free, and no
-- changing column is indexed, so that an update stays on its page (HOT).
CREATE TABLE product (
    product_id text COLLATE "C" PRIMARY KEY,
    name       text        NOT NULL,
    price      bigint      NOT NULL,   -- of one piece, minor unit of currency
    currency   text        NOT NULL,   -- ISO 4217
    quantity   bigint      NOT NULL,   -- pieces left
    on_sale    boolean     NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT stock_never_negative CHECK (quantity >= 0),
    CONSTRAINT price_above_zero CHECK (price > 0)
) WITH (fillfactor = 50);

-- What was done for an order: one row per order, for ever. Its key is the rule that an order takes its
-- pieces once and gives them back once, beyond what the inbox remembers.
CREATE TABLE reservation (
    order_id   text COLLATE "C" PRIMARY KEY,
    user_id    text        NOT NULL,
    state      text        NOT NULL,
    items      jsonb       NOT NULL,   -- what is or was taken; empty where nothing ever was
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT reservation_state_known CHECK (state IN ('TAKEN', 'REFUSED', 'RETURNED')),
    CONSTRAINT refused_takes_nothing CHECK (state <> 'REFUSED' OR items = '[]')
) WITH (fillfactor = 90);

-- +goose Down
DROP TABLE reservation, product;
