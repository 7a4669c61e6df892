"""Code of your own, packaged beside the handler of openclip-lambda. docs/extending.md there says all that it may do.

The names below are called, and no others: routes, authenticate, preprocess_image, preprocess_text, metrics. Import from
`handler.extensions` alone: that module stays as it is from release to release, and the others may change.

    python -m handler.extensions handler_ext    # would a function with this code start?
    python -m unittest                          # the tests in test_handler_ext.py
"""

from handler.extensions import ApiError, Request, Response, Service


def rank(request: Request, service: Service) -> Response:
    """Sort texts by how near each comes to a query: {"query": "a red circle", "texts": ["...", ...]}."""
    body = service.read_json(request)
    if not isinstance(body, dict) or not isinstance(body.get("query"), str) or not isinstance(body.get("texts"), list):
        raise ApiError("invalid_value", 'send {"query": "a text", "texts": ["a text", ...]}')
    query, *texts = service.embed([body["query"], *body["texts"]])  # unit vectors: the product is the cosine
    cosines = [float(text @ query) for text in texts]
    order = sorted(range(len(texts)), key=lambda place: -cosines[place])
    return Response(200, {"ranked": [{"text": body["texts"][place], "cosine": cosines[place]} for place in order]})


# Your own paths. No release of openclip-lambda will ever have a path of its own below /ext/.
routes = {("POST", "/ext/rank"): rank}


def metrics(request: Request, response: Response) -> dict[str, float]:
    """Count what you want to see in CloudWatch, in the namespace OpenCLIP: 20 names at most."""
    return {"Ranked": 1} if request.path == "/ext/rank" and response.status == 200 else {}


# Who may call, in addition to the API Gateway's authorizer (the API key, unless cdk.json says otherwise).
# Without this function everybody whom the gateway lets through is let through here.
#
# def authenticate(request: Request) -> str:
#     """Return the caller's name, or raise ApiError."""
#     if request.headers.get("x-tenant") not in ("shoes", "hats"):
#         raise ApiError("not_permitted", "send your tenant as x-tenant")
#     return request.headers["x-tenant"]

# What is embedded instead of an image or a text. It changes every vector: embed everything anew, and change the name.
#
# PREPROCESSING = "lower-case-1"
#
# def preprocess_text(text: str, model: Any) -> str:
#     return text.lower()
