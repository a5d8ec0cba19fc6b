"""What the user points at, as ordered migrations: files, folders of the known tools, standard input, the tools."""
