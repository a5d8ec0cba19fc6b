CREATE INDEX users_lower_email ON users (lower(email));
