"""The planner: requirement + change + versions -> path. Pure."""
