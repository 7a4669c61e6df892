"""What the texts of settings look like, and the same in words: a pattern tells a user nothing."""

from infra.source_prefix import BUCKET

STACK = r"^[A-Za-z][A-Za-z0-9-]{0,100}$"
PREFIX = r"^[a-z0-9][a-z0-9-]{0,60}$"
TOPIC = r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$"
# As a browser writes one: in small letters, and without path or slash at its end, or it would never match.
# An asterisk is for all, or for all of a scheme: API Gateway refuses it within a name.
ORIGIN = r"^(\*|https?://(\*|[^A-Z*/?#@\s]+))$"
ISSUER = r"^https://[^/?#\s]+(/[^?#\s]*)?$"

WORDS = {
    STACK: "a letter, then letters, digits and hyphens, as in openclip-photos",
    PREFIX: "small letters, digits and hyphens, as in photos-",
    TOPIC: "the ARN of an SNS topic, as in arn:aws:sns:eu-west-1:123456789012:alarms",
    ORIGIN: "an origin, as in https://app.example: small letters, no path, no slash at its end, no *; or *, https://*",
    ISSUER: "an address that begins with https://, without ? and #",
    BUCKET: "a bucket's name alone, as in my-photos: no s3://, no path",
}
