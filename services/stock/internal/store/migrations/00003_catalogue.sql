-- What a product looks like, when and to whom it is sold, and where its pieces came from.

-- +goose Up
ALTER TABLE product
    ADD COLUMN picture_url    text        NOT NULL DEFAULT '',    -- https, '' if none
    ADD COLUMN frozen         boolean     NOT NULL DEFAULT false, -- nobody gets a piece
    ADD COLUMN low_threshold  bigint      NOT NULL DEFAULT 0,     -- 0: no quantity is low
    ADD COLUMN low_at         timestamptz,                        -- when quantity fell to the threshold; null while above
    ADD COLUMN low_told       boolean     NOT NULL DEFAULT false, -- LowStockReached is out for it
    ADD COLUMN sale_starts_at timestamptz,
    ADD COLUMN sale_ends_at   timestamptz,                        -- the first moment after the sale
    ADD COLUMN max_per_order  bigint      NOT NULL DEFAULT 0,     -- 0: any
    ADD COLUMN max_per_member bigint      NOT NULL DEFAULT 0,     -- 0: any
    ADD CONSTRAINT picture_is_https CHECK (picture_url = '' OR picture_url LIKE 'https://%'),
    ADD CONSTRAINT limits_never_negative CHECK (low_threshold >= 0 AND max_per_order >= 0 AND max_per_member >= 0),
    ADD CONSTRAINT sale_starts_before_it_ends CHECK (sale_starts_at < sale_ends_at);
-- What the sweeper looks for, and nothing else. Its columns change when a threshold is crossed, so that the
-- updates of a product that sells stay on its page (HOT).
CREATE INDEX product_low ON product (product_id) WHERE low_at IS NOT NULL AND NOT low_told;

-- How many pieces a member's orders hold of a product with a limit per member: no rows for other products. Its
-- key and the product's row lock are the rule that a member in many orders at once gets no more.
CREATE TABLE purchase (
    product_id text COLLATE "C" NOT NULL,
    user_id    text COLLATE "C" NOT NULL,
    quantity   bigint NOT NULL,
    PRIMARY KEY (product_id, user_id),
    CONSTRAINT purchase_never_negative CHECK (quantity >= 0)
) WITH (fillfactor = 80);

-- The ledger of what operators did. What orders took and gave back stands in reservation, a row for each.
CREATE TABLE movement (
    product_id  text COLLATE "C" NOT NULL,
    movement_id text COLLATE "C" NOT NULL,   -- the command's, UUIDv7: also the order in time
    kind        text        NOT NULL,
    amount      bigint      NOT NULL,        -- pieces that came; negative: that went
    reason      text        NOT NULL,        -- the operator's words
    at          timestamptz NOT NULL,
    PRIMARY KEY (product_id, movement_id),
    CONSTRAINT movement_kind_known CHECK (kind IN ('LISTED', 'RESTOCK', 'RECOUNT'))
);
-- All that came in before there was a ledger.
INSERT INTO movement SELECT product_id, '00000000-0000-7000-8000-000000000000', 'LISTED', received, '', created_at FROM product;

-- +goose StatementBegin
CREATE FUNCTION movement_is_never_changed() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN RAISE 'the ledger is only added to' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'movement_is_never_changed'; END$$;
-- +goose StatementEnd
CREATE TRIGGER movement_is_never_changed BEFORE UPDATE OR DELETE ON movement FOR EACH STATEMENT EXECUTE FUNCTION movement_is_never_changed();

-- +goose Down
DROP TABLE movement, purchase;
DROP FUNCTION movement_is_never_changed;
DROP INDEX product_low;
ALTER TABLE product
    DROP COLUMN picture_url, DROP COLUMN frozen, DROP COLUMN low_threshold, DROP COLUMN low_at, DROP COLUMN low_told,
    DROP COLUMN sale_starts_at, DROP COLUMN sale_ends_at, DROP COLUMN max_per_order, DROP COLUMN max_per_member;
