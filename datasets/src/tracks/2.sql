-- Which bucket the object lies in. Of rows that are older than this column nobody knows; `storage sync` asks the bucket.
ALTER TABLE tracks ADD COLUMN s3_bucket TEXT;

-- Whether its object was removed from the bucket by name. It is not uploaded again unless it is taken in again.
ALTER TABLE tracks ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0;
