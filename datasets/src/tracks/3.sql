-- The call of `ecosight ingest` that took the recording in. Of rows that are older than this column nobody knows.
ALTER TABLE tracks ADD COLUMN ingest_id TEXT;
