COMMENT ON TABLE topics IS 'the forum';
COMMENT ON TABLE posts IS 'what people say in it';
