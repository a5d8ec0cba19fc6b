CREATE TABLE categories (id serial PRIMARY KEY, title text NOT NULL, position integer NOT NULL DEFAULT 0);
