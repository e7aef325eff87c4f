-- An order is written again two or three times while it is new, and half of these stay on its page (HOT) only if there
-- is room for as much as there is.

-- +goose Up
ALTER TABLE orders SET (fillfactor = 50);

-- +goose Down
ALTER TABLE orders SET (fillfactor = 75);
