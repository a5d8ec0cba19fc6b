COMMENT ON COLUMN products.sku IS 'as the warehouse writes it';
