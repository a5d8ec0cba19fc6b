CREATE UNIQUE INDEX reviews_once ON reviews (product_id, user_id, id);
