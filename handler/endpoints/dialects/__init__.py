"""Other vendors' embeddings APIs over the one core: a module each, imported when its route is asked.

Each has `respond(service, request)` and `error_body(error)`. Their requests are what the vendors document. What a
request asks for and cannot be given here is refused, and never ignored where it would change the answer.
"""
