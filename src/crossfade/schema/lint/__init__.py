"""The offline lint of migrations: what a statement takes away from a running service, told without a database."""
