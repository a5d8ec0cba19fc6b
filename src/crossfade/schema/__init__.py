"""The schema engine: a change taken apart into steps that each can be undone, and walked there and back."""
