-- What the reconciler has found and how far it is. One replica compares at a time; all tell of what is here.

-- +goose Up
-- Differences that stood when they were last looked at. They go when they are mended.
CREATE TABLE difference (
    key      text COLLATE "C" PRIMARY KEY,       -- rule, row and what it is about
    rule     text        NOT NULL,
    about    text        NOT NULL,               -- id of the order, product, member, ...
    found_at timestamptz NOT NULL,
    report   jsonb       NOT NULL
);

-- Marks: "changes" is up to where events' orders were compared, "sweep" when all was, "success" when
-- anything last was.
CREATE TABLE reconciliation (
    name text PRIMARY KEY,
    at   timestamptz NOT NULL
);

-- Which orders had an event since. Events are added about in the order of their times, so this is a few
-- pages for any number of them, and costs the one who adds nothing.
CREATE INDEX event_occurred ON event USING brin (occurred_at) WITH (pages_per_range = 32, autosummarize = on);

-- +goose Down
DROP INDEX event_occurred;
DROP TABLE reconciliation, difference;
