-- Which mails were asked for, and whom to send them to. Ids are text in byte order (COLLATE "C"), so that
-- ORDER BY here and sorting in Go agree.

-- +goose Up
-- One row per order and kind of mail, for ever: what makes a repeated event change nothing.
CREATE TABLE mail (
    order_id   text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    user_id    text        NOT NULL,
    state      text        NOT NULL,
    data       jsonb       NOT NULL,            -- what the text is made from; no personal data
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT mail_once_per_order_and_kind PRIMARY KEY (order_id, kind),
    CONSTRAINT mail_kind_known CHECK (kind IN ('completed', 'cancelled', 'dispatched', 'delivered', 'refunded')),
    CONSTRAINT mail_state_known CHECK (state IN ('WAITING', 'SENT', 'UNDELIVERABLE', 'SKIPPED'))
) WITH (fillfactor = 85);
-- Those that operators hear of; the others have no place in it.
CREATE INDEX mail_in_trouble ON mail (state, updated_at) WHERE state IN ('WAITING', 'UNDELIVERABLE');

-- Copies of members' contact data: the only personal data here.
CREATE TABLE contact (
    member_id  text COLLATE "C" PRIMARY KEY,
    email      text        NOT NULL,
    name       text        NOT NULL,
    language   text        NOT NULL,            -- BCP 47
    changed_at timestamptz NOT NULL
) WITH (fillfactor = 90);

-- +goose Down
DROP TABLE contact, mail;
