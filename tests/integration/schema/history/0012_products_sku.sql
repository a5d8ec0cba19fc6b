ALTER TABLE products ADD COLUMN sku text, ADD COLUMN weight_g integer NOT NULL DEFAULT 0;
