ALTER TABLE posts RENAME COLUMN body TO markdown;
