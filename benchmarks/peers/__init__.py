"""What people would pick instead, measured beside our engines: the same weights and inputs, in turns."""
