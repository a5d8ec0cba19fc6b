"""One module a place where processes run."""
