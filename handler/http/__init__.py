"""HTTP around the service: events of every sender, routes, CORS, and one way from an exception to a response."""
