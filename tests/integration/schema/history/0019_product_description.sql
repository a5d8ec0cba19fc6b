ALTER TABLE products ADD COLUMN description text NOT NULL DEFAULT '';
