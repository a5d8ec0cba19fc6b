ALTER TABLE topics ADD COLUMN posts_count integer NOT NULL DEFAULT 0;
