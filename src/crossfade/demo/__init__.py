"""The example service, its versions, and the load that proves the story."""
