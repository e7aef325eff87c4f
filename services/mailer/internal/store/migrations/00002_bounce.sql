-- Mails that came back, and addresses that none is sent to any more.

-- +goose Up
-- address_since: which of the member's addresses it went to, without saying it; see contact.
ALTER TABLE mail ADD COLUMN code text NOT NULL DEFAULT '', ADD COLUMN address_since timestamptz;
ALTER TABLE mail DROP CONSTRAINT mail_state_known;
-- NOT VALID: every row that is there meets it, and need not be read to see so.
ALTER TABLE mail ADD CONSTRAINT mail_state_known CHECK (state IN ('WAITING', 'SENT', 'UNDELIVERABLE', 'SKIPPED', 'BOUNCED')) NOT VALID;
DROP INDEX mail_in_trouble;
CREATE INDEX mail_in_trouble ON mail (state, updated_at) WHERE state IN ('WAITING', 'UNDELIVERABLE', 'BOUNCED');

-- address_since is when this address was put here, by this database's clock: a mail that comes back much later tells
-- by it whether it went to this one. bounced_at: nothing is sent to it since then.
-- The default is set in two steps, so that the table is not written anew.
ALTER TABLE contact ADD COLUMN address_since timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN bounced_at timestamptz, ADD COLUMN bounce_code text,
    ADD CONSTRAINT contact_bounced_with_code CHECK ((bounced_at IS NULL) = (bounce_code IS NULL));
ALTER TABLE contact ALTER COLUMN address_since SET DEFAULT clock_timestamp();

-- +goose Down
UPDATE mail SET state = 'UNDELIVERABLE' WHERE state = 'BOUNCED';
ALTER TABLE contact DROP COLUMN address_since, DROP COLUMN bounced_at, DROP COLUMN bounce_code;
DROP INDEX mail_in_trouble;
CREATE INDEX mail_in_trouble ON mail (state, updated_at) WHERE state IN ('WAITING', 'UNDELIVERABLE');
ALTER TABLE mail DROP CONSTRAINT mail_state_known;
ALTER TABLE mail ADD CONSTRAINT mail_state_known CHECK (state IN ('WAITING', 'SENT', 'UNDELIVERABLE', 'SKIPPED'));
ALTER TABLE mail DROP COLUMN code, DROP COLUMN address_since;
