"""crossfade: zero downtime as a property of a service, held during every release."""
