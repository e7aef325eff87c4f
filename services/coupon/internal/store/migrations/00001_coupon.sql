-- Coupons: what a policy's coupons are worth, who has one, and which order spent it. Ids are text in byte
-- order (COLLATE "C"), so that ORDER BY here and sorting in Go agree.

-- +goose Up
-- The hot row of a campaign: every issue counts here, so it is locked last and has room for its new
-- versions on its own page.
CREATE TABLE coupon_policy (
    policy_id      text COLLATE "C" PRIMARY KEY,
    name           text        NOT NULL,
    amount         bigint      NOT NULL,        -- minor unit; 0: a percentage
    percent        bigint      NOT NULL,        -- 0: an amount
    max_amount     bigint      NOT NULL,        -- bounds a percentage; 0: no bound
    minimum_amount bigint      NOT NULL,        -- least sum of items; 0: none
    currency       text        NOT NULL,        -- ISO 4217; '': any
    issue_limit    bigint      NOT NULL,
    issued         bigint      NOT NULL,
    valid_from     timestamptz,                 -- NULL: no bound
    valid_until    timestamptz,                 -- the first moment at which it is no longer valid
    created_at     timestamptz NOT NULL,
    CONSTRAINT coupon_limit_kept CHECK (issued BETWEEN 0 AND issue_limit),
    CONSTRAINT discount_is_amount_or_percent CHECK ((amount > 0) <> (percent > 0)),
    CONSTRAINT discount_never_negative CHECK (amount >= 0 AND max_amount >= 0 AND minimum_amount >= 0),
    CONSTRAINT percent_at_most_hundred CHECK (percent BETWEEN 0 AND 100)
) WITH (fillfactor = 50);

-- One member's coupon; written once. Its row is the lock of whoever wants to spend it.
CREATE TABLE coupon (
    coupon_id text COLLATE "C" PRIMARY KEY,
    policy_id text COLLATE "C" NOT NULL,
    user_id   text COLLATE "C" NOT NULL,
    issued_at timestamptz      NOT NULL,
    CONSTRAINT coupon_once_per_member UNIQUE (policy_id, user_id)
);
CREATE INDEX coupon_of_member ON coupon (user_id, coupon_id);

-- Which order has spent a coupon: a row while it has. A second order cannot.
CREATE TABLE coupon_spent (
    coupon_id text COLLATE "C" CONSTRAINT coupon_used_once PRIMARY KEY,
    order_id  text        NOT NULL,
    used_at   timestamptz NOT NULL
) WITH (fillfactor = 90);

-- What coupon did for an order, for ever: also the tombstone of an undo that came first.
CREATE TABLE coupon_use (
    order_id   text COLLATE "C" CONSTRAINT coupon_step_once_per_order PRIMARY KEY,
    user_id    text        NOT NULL,
    state      text        NOT NULL,
    coupon_ids text[]      NOT NULL,            -- empty where none was ever used
    discount   bigint      NOT NULL,            -- granted, minor unit
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT use_state_known CHECK (state IN ('USED', 'REFUSED', 'CLOSED', 'GIVEN_BACK', 'CANCELLED')),
    CONSTRAINT discount_never_negative CHECK (discount >= 0)
) WITH (fillfactor = 85);

-- +goose Down
DROP TABLE coupon_use, coupon_spent, coupon, coupon_policy;
