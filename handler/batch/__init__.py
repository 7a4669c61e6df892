"""Embed a whole bucket or folder: a file of rows in, one Parquet file of vectors out. Not part of the request path."""
