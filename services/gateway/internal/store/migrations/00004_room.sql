-- The line and the checks of an order are written again with each group of its events: room for it on the same page
-- (HOT).

-- +goose Up
ALTER TABLE order_line SET (fillfactor = 50);
ALTER TABLE conformance SET (fillfactor = 50);

-- +goose Down
ALTER TABLE order_line SET (fillfactor = 80);
ALTER TABLE conformance SET (fillfactor = 80);
