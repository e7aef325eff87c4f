-- +goose Up
-- What the comparison of a day with the provider's list has found. A day is compared again by hand.
CREATE TABLE reconciliation (
    day         date        NOT NULL,
    provider    text        NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    charges     bigint      NOT NULL,          -- lines of the provider's list
    refunds     bigint      NOT NULL,
    repaired    bigint      NOT NULL,          -- open payments that are settled
    differences text        NOT NULL,          -- JSON: what a person has to look at
    open        bigint      NOT NULL,          -- how many of them there are
    PRIMARY KEY (day, provider)
);

-- +goose Down
DROP TABLE reconciliation;
