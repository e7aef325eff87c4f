-- Whose addresses are known, and as of when: an event that comes again later must not bring an address back, least of all
-- an erased member's.

-- +goose Up
CREATE TABLE address_owner (
    user_id    text COLLATE "C" PRIMARY KEY,
    changed_at timestamptz NOT NULL,             -- of the MemberChanged that stands here
    erased     boolean     NOT NULL
);
-- Addresses that stand here already came from a file; the first event about their owner replaces them.
INSERT INTO address_owner SELECT DISTINCT user_id, 'epoch'::timestamptz, false FROM address;

-- +goose Down
DROP TABLE address_owner;
