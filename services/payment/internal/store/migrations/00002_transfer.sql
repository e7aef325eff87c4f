-- +goose Up
-- How a provider is asked for the charge, and where a transfer is paid into (JSON; '' for anything else).
ALTER TABLE payment
    ADD COLUMN token   text NOT NULL DEFAULT '',
    ADD COLUMN account text NOT NULL DEFAULT '';

-- The transfers that may still be paid are looked for by age. A payment's type never changes, so no update of a card's
-- row, nor of a transfer's, ever touches this index.
CREATE INDEX payment_transfer ON payment (created_at) WHERE payment_type = 'PAYMENT_TYPE_TRANSFER';

-- +goose Down
DROP INDEX payment_transfer;
ALTER TABLE payment DROP COLUMN token, DROP COLUMN account;
