"""Pure values, rules and ports. Imports the standard library and itself, nothing else."""
