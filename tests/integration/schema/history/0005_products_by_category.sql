CREATE INDEX products_category_idx ON products (category_id);
