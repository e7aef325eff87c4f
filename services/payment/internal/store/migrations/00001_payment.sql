-- What payment knows of orders and points. Ids are text in byte order (COLLATE "C"), so that ORDER BY here
-- and sorting in Go agree, and every replica takes its locks in the same order. Amounts are in the
-- currency's minor unit.

-- +goose Up
-- One row per order, for ever; also the tombstone of an order whose undo came first.
CREATE TABLE payment (
    order_id       text COLLATE "C" PRIMARY KEY,
    payment_id     text        NOT NULL,          -- '' in a tombstone
    user_id        text COLLATE "C" NOT NULL,
    state          text        NOT NULL,
    refund         text        NOT NULL,
    amount         bigint      NOT NULL,
    points         bigint      NOT NULL,          -- reserved or taken; 0 again once given back
    discount       bigint      NOT NULL,
    coupon_counted boolean     NOT NULL,
    has_coupons    boolean     NOT NULL,
    currency       text        NOT NULL,
    payment_type   text        NOT NULL,
    charge_id      text        NOT NULL,          -- the provider's, once captured
    fail_reason    text        NOT NULL,
    opened_by      text        NOT NULL,          -- ids of the events that opened the waits
    cancelled_by   text        NOT NULL,
    cancel_event   text        NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT charge_never_negative CHECK (amount >= 0 AND points >= 0)
) WITH (fillfactor = 70);

-- What a person has to pay back by hand. Only rows on the way back ever touch this index: the way forward
-- changes no column of it, so its updates stay on their page.
CREATE INDEX payment_refund_refused ON payment (updated_at) WHERE refund = 'REFUSED';

-- A member's balance: the sum of the member's ledger, locked last and held shortest.
CREATE TABLE points (
    user_id text COLLATE "C" PRIMARY KEY,
    balance bigint NOT NULL,
    CONSTRAINT points_never_negative CHECK (balance >= 0)
) WITH (fillfactor = 50);

-- Every movement of points, never changed. An order takes once and gives back once, beyond the inbox's
-- memory.
CREATE TABLE ledger (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id  text COLLATE "C" NOT NULL,
    kind     text        NOT NULL,
    order_id text COLLATE "C",                    -- of an order's entry
    grant_id text COLLATE "C",                    -- of a grant
    amount   bigint      NOT NULL,                -- negative for what was taken
    at       timestamptz NOT NULL,
    CONSTRAINT ledger_once_per_order_and_kind UNIQUE (order_id, kind),
    CONSTRAINT ledger_once_per_grant UNIQUE (grant_id),
    CONSTRAINT ledger_of_order_or_grant CHECK ((order_id IS NULL) <> (grant_id IS NULL)),
    CONSTRAINT ledger_sign CHECK ((kind = 'TAKEN') = (amount < 0) AND amount <> 0)
);
-- Ids are given out under the lock on the member's balance, so they are in the order of the commits.
CREATE INDEX ledger_user ON ledger (user_id, id DESC);

-- +goose StatementBegin
CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the points ledger is append-only: book a counter-entry' USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON ledger
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();

-- +goose Down
DROP TABLE ledger, points, payment;
DROP FUNCTION ledger_is_append_only();
