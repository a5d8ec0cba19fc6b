"""The durable record in PostgreSQL, the lease, and the local spool before it."""
