"""What PostgreSQL really did, held to what a plan says it does."""
