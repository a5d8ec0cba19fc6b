CREATE TABLE invoices (
    number bigint PRIMARY KEY DEFAULT nextval('invoice_numbers'),
    order_id bigint NOT NULL REFERENCES orders (id),
    cents bigint NOT NULL
);
