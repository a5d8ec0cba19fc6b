ALTER TABLE posts ADD COLUMN edited_at timestamptz;
