CREATE INDEX posts_topic_idx ON posts (topic_id, written_at DESC);
