ALTER TABLE reviews ADD CONSTRAINT reviews_user_fkey FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;
