-- All that ever came in of a product, so that what is left and what is held for orders can be held against
-- it: quantity + held = received. Pieces that are there now are taken to have come in.

-- +goose Up
ALTER TABLE product ADD COLUMN received bigint NOT NULL DEFAULT 0;
-- How often a person had the quantity corrected: two who saw the same mistake do not both take it away.
ALTER TABLE product ADD COLUMN corrections bigint NOT NULL DEFAULT 0;
UPDATE product p SET received = p.quantity + coalesce((
    SELECT sum((i.item->>'quantity')::bigint)
    FROM reservation r CROSS JOIN LATERAL jsonb_array_elements(r.items) AS i(item)
    WHERE r.state = 'TAKEN' AND i.item->>'productId' = p.product_id), 0);

-- +goose Down
ALTER TABLE product DROP COLUMN received, DROP COLUMN corrections;
