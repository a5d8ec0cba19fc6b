"""Backups that were restored: dump, restore into a scratch server, compare, and what is recorded of it."""
