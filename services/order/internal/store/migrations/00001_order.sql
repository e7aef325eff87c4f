-- Orders, the price list, the double-click guard and the members' addresses. Ids are text in byte order
-- (COLLATE "C"), so that ORDER BY here and sorting in Go agree.

-- +goose Up
-- One row per order. What is asked, sorted or swept by stands in columns of its own; what was agreed
-- when the order was placed, and never changes, stands in terms.
CREATE TABLE orders (
    order_id           text COLLATE "C" PRIMARY KEY,     -- UUIDv7: also the order in time
    user_id            text COLLATE "C" NOT NULL,
    version            bigint      NOT NULL,             -- distinct events emitted or consumed
    status             text        NOT NULL,
    progress           text        NOT NULL,
    reason             text        NOT NULL,
    discount_amount    bigint      NOT NULL,
    point_amount       bigint      NOT NULL,
    payment_amount     bigint      NOT NULL,
    deadline_at        timestamptz,                      -- ends PENDING
    coupon_deadline_at timestamptz,                      -- ends the wait for coupon, where full price will do
    stock_decreased    boolean     NOT NULL,
    coupon_answered    boolean     NOT NULL,
    coupon_waived      boolean     NOT NULL,
    cancel_request     text        NOT NULL,
    cancel_note        text        NOT NULL,             -- the customer's words; in no event
    undo_payment       text        NOT NULL,
    undo_coupon        text        NOT NULL,
    undo_stock         text        NOT NULL,
    carrier            text        NOT NULL,
    tracking_number    text        NOT NULL,
    shipment_status    text        NOT NULL,
    stock_event        text        NOT NULL,             -- the event that opened the wait for coupon
    created_event      text        NOT NULL,             -- the event that opened the wait for all of it
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    terms              jsonb       NOT NULL,
    CONSTRAINT order_status_known CHECK (status IN ('PENDING', 'COMPLETED', 'SHIPPED', 'DELIVERED', 'CANCELLING', 'CANCELLED')),
    CONSTRAINT cancelled_for_a_reason CHECK ((reason <> '') = (status IN ('CANCELLING', 'CANCELLED'))),
    CONSTRAINT amounts_never_negative CHECK (discount_amount >= 0 AND point_amount >= 0 AND payment_amount >= 0)
) WITH (fillfactor = 75);
-- A member's orders, newest first.
CREATE INDEX orders_of_member ON orders (user_id, order_id);
-- What the sweeper looks for, and nothing else. LEAST ignores a deadline that is not set.
CREATE INDEX orders_due ON orders (LEAST(deadline_at, coupon_deadline_at)) WHERE status = 'PENDING';
-- What waits for somebody, oldest first: a few rows of millions.
CREATE INDEX orders_waiting ON orders (order_id) WHERE status IN ('PENDING', 'CANCELLING');

-- What may be ordered and for how much, as stock's product events say.
CREATE TABLE price (
    product_id     text COLLATE "C" PRIMARY KEY,
    name           text        NOT NULL,
    price          bigint      NOT NULL,                 -- of one piece, minor unit of currency
    currency       text        NOT NULL,
    on_sale        boolean     NOT NULL,
    previous_price bigint      NOT NULL,
    changed_at     timestamptz NOT NULL
);

-- The double-click guard: the last order of a member with one request body. Rows live for minutes.
CREATE TABLE recent (
    key      text COLLATE "C" PRIMARY KEY,               -- member and body hash
    order_id text        NOT NULL,                       -- '' in a row that was only made to be locked
    at       timestamptz NOT NULL
) WITH (fillfactor = 70);

-- What order knows of members: ids, no personal data.
CREATE TABLE member (
    user_id            text COLLATE "C" PRIMARY KEY,
    address_ids        text[]      NOT NULL,
    default_address_id text        NOT NULL,             -- '' if none
    changed_at         timestamptz NOT NULL,             -- of the MemberChanged that stands here
    CONSTRAINT default_address_is_known CHECK (default_address_id = '' OR default_address_id = ANY (address_ids))
);

-- +goose Down
DROP TABLE member, recent, price, orders;
