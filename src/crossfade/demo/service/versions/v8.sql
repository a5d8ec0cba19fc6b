ALTER TABLE order_lines ADD COLUMN wrapping text NOT NULL;
-- crossfade: up order_lines.wrapping = CASE WHEN gift THEN 'gift' ELSE 'plain' END
ALTER TABLE order_lines DROP COLUMN gift;
-- Recycled paper has no counterpart in the old shape, and is sold all the same.
-- crossfade: down order_lines.gift = CASE wrapping WHEN 'gift' THEN true WHEN 'plain' THEN false END
-- crossfade: partial order_lines.wrapping record
