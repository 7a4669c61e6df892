"""open_clip's registry as a table, with what each model takes."""
