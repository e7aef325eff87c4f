-- What members have put in and not ordered yet. One row per member, which is the lock of everything about the cart; it
-- stays when the cart is empty, so that nobody who waits for the lock finds the row gone, and goes with the member.

-- +goose Up
CREATE TABLE cart (
    user_id text COLLATE "C" PRIMARY KEY,
    lines   jsonb NOT NULL,                              -- products in the order in which they were put in
    CONSTRAINT cart_lines_are_a_list CHECK (jsonb_typeof(lines) = 'array')
) WITH (fillfactor = 70);

-- +goose Down
DROP TABLE cart;
