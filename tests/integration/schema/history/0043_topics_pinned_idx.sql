CREATE INDEX topics_pinned_idx ON topics (id) WHERE pinned;
