CREATE VIEW open_orders AS SELECT id, user_id, placed_at FROM orders WHERE status = 'new';
