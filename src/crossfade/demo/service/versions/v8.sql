ALTER TABLE order_lines ADD COLUMN wrapping text NOT NULL;
-- crossfade: up order_lines.wrapping = CASE WHEN gift THEN 'gift' ELSE 'plain' END
ALTER TABLE order_lines DROP COLUMN gift;
-- Recycled paper has no counterpart in the old shape, where it is a gift like others; it is sold all the same.
-- crossfade: down order_lines.gift = wrapping <> 'plain'
-- crossfade: partial order_lines.wrapping record
