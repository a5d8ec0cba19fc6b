"""The imperative shell: observe, decide, journal the intent, act, journal the result."""
