ALTER TABLE orders RENAME COLUMN reference TO customer_reference;
ALTER TABLE orders ADD COLUMN currency text NOT NULL;
-- crossfade: up orders.currency = 'EUR'
ALTER TABLE orders DROP COLUMN channel;
