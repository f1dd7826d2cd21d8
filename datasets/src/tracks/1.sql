-- One row for each recording that was taken in. `receiving` rows announce a file that is about to appear under their key.
CREATE TABLE tracks (
    key           TEXT    NOT NULL PRIMARY KEY,
    id            TEXT    NOT NULL,
    class         TEXT    NOT NULL,
    path          TEXT,
    s3_object_key TEXT,
    source        TEXT    NOT NULL GENERATED ALWAYS AS (CASE WHEN path IS NULL THEN 's3' ELSE 'local' END) VIRTUAL,
    hash          TEXT    NOT NULL,
    size_bytes    INTEGER NOT NULL,
    duration_s    REAL,
    status        TEXT    NOT NULL CHECK (status IN ('receiving', 'stored')),
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL
) STRICT;

CREATE INDEX tracks_by_hash ON tracks (hash, class);
CREATE INDEX tracks_receiving ON tracks (status) WHERE status = 'receiving';

-- What is still to be uploaded, in the order in which it was accepted.
CREATE TABLE outbox (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT    NOT NULL UNIQUE,
    queued_ms   INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_try_ms INTEGER NOT NULL DEFAULT 0,
    last_error  TEXT,
    trouble     TEXT
) STRICT;
