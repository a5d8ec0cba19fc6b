"""What every part needs of the machine it runs on: private durable files, ports. Knows nothing of crossfade."""
