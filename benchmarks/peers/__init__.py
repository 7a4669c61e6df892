"""Other ways to run the models, measured beside our engines: the same weights and inputs, in turns."""
