"""What a request may hold and cost, and the OpenAPI document made from it."""
