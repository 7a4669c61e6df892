"""Search over the vectors of a bucket or folder, in a function of its own. Not part of the API's request path."""
