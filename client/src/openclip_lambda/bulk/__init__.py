"""Many inputs: found, sent at once within bounds, and written as their results come."""
