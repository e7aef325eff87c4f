-- Members and their address books: the origin of all personal data. Ids are text in byte order (COLLATE "C"), so that
-- ORDER BY here and sorting in Go agree, and every replica takes its locks in the same order.

-- +goose Up
CREATE TABLE member (
    member_id     text COLLATE "C" PRIMARY KEY,
    name          text        NOT NULL,
    email         text        NOT NULL,
    email_key     text COLLATE "C",             -- what makes two spellings one; NULL: no address
    phone         text        NOT NULL,
    language      text        NOT NULL,          -- BCP 47
    password_hash text        NOT NULL,          -- PHC format; '': no session by password
    erased        boolean     NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    -- Looked at when the transaction ends: one of a batch may take the address that another gives up.
    CONSTRAINT member_email_once UNIQUE (email_key) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT erased_means_empty CHECK (NOT erased OR (name = '' AND email = '' AND email_key IS NULL AND phone = '' AND language = '' AND password_hash = ''))
);

-- Rows of a member are replaced as a whole.
CREATE TABLE address (
    address_id  text COLLATE "C" PRIMARY KEY,
    member_id   text COLLATE "C" NOT NULL REFERENCES member DEFERRABLE INITIALLY DEFERRED,
    place       integer NOT NULL,                -- within the book
    name        text    NOT NULL,
    phone       text    NOT NULL,
    line1       text    NOT NULL,
    line2       text    NOT NULL,
    city        text    NOT NULL,
    postal_code text    NOT NULL,
    country     text    NOT NULL,                -- ISO 3166-1 alpha-2
    is_default  boolean NOT NULL
);
CREATE INDEX address_member ON address (member_id, place);
CREATE UNIQUE INDEX address_one_default ON address (member_id) WHERE is_default;

-- +goose Down
DROP TABLE address, member;
