ALTER TABLE invoices ALTER COLUMN cents TYPE numeric(12, 2);
