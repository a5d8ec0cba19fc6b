"""Finds the programs crossfade drives: what the user names, else installed, else the wheel."""
