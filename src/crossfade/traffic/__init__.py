"""One module a proxy."""
