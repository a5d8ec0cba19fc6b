ALTER TABLE topics DROP CONSTRAINT topics_title_length;
