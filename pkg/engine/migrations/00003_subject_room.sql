-- A subject's row is written again soon after it was made, once or twice: with room for it on the same page no index
-- is touched (HOT), and a full rush of new rows leaves less than a fifth of a page.

-- +goose Up
ALTER TABLE subject SET (fillfactor = 50);

-- +goose Down
ALTER TABLE subject SET (fillfactor = 80);
