"""The versions of the shop, each the difference to the one it came from."""
