ALTER TABLE invoices ADD COLUMN paid boolean NOT NULL DEFAULT false, ADD COLUMN paid_at timestamptz;
