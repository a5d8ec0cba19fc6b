ALTER TABLE topics ADD CONSTRAINT topics_title_length CHECK (length(title) <= 200);
