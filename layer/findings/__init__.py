"""What can be wrong with a prepared model, each with its code, its meaning and its fix."""
