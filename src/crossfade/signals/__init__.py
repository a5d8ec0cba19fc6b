"""Where measurements of customer impact come from: one module a source."""
