ALTER TABLE topics RENAME TO threads;
