ALTER TABLE products ALTER COLUMN title SET DEFAULT 'untitled';
