-- What shipping knows of parcels and addresses. Ids are text in byte order (COLLATE "C"), so that ORDER BY
-- here and sorting in Go agree, and every replica takes its locks in the same order.

-- +goose Up
-- One row per order, for ever; also the tombstone of an order whose cancel came first.
CREATE TABLE shipment (
    order_id        text COLLATE "C" PRIMARY KEY,
    user_id         text COLLATE "C" NOT NULL,
    address_id      text COLLATE "C" NOT NULL,    -- no foreign key: the address goes when its member does
    state           text        NOT NULL,
    tracking        text        NOT NULL,
    carrier         text        NOT NULL,
    booking_id      text        NOT NULL,         -- the carrier's, once booked
    tracking_number text        NOT NULL,
    fail_reason     text        NOT NULL,
    cancel_asked    boolean     NOT NULL,
    cancel_refused  boolean     NOT NULL,
    completed_event text        NOT NULL,         -- ids of the events that opened the waits
    cancel_event    text        NOT NULL,
    prepared_event  text        NOT NULL,
    dispatch_event  text        NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    prepared_at     timestamptz,
    dispatched_at   timestamptz,
    delivered_at    timestamptz,
    CONSTRAINT dispatched_never_cancelled CHECK (dispatched_at IS NULL OR state NOT IN ('CANCELLED', 'FAILED')),
    CONSTRAINT delivered_after_dispatch CHECK (delivered_at IS NULL OR dispatched_at IS NOT NULL)
) WITH (fillfactor = 70);

-- The only personal data of this service: a copy of the members' address books.
CREATE TABLE address (
    address_id  text COLLATE "C" PRIMARY KEY,
    user_id     text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    phone       text NOT NULL,
    line1       text NOT NULL,
    line2       text NOT NULL,
    city        text NOT NULL,
    postal_code text NOT NULL,
    country     text NOT NULL
);
-- A member's change replaces all of the member's addresses, a member's end deletes them.
CREATE INDEX address_user ON address (user_id);

-- +goose Down
DROP TABLE address, shipment;
