"""One module a kind of operation: how it is staged, with the undo of each stage."""
