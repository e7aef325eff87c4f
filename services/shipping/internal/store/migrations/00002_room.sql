-- A shipment is written again as soon as the carrier has answered: room for it on the same page (HOT).

-- +goose Up
ALTER TABLE shipment SET (fillfactor = 50);

-- +goose Down
ALTER TABLE shipment SET (fillfactor = 70);
