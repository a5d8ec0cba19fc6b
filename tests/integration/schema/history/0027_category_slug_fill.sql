UPDATE categories SET slug = lower(title) WHERE slug IS NULL;
