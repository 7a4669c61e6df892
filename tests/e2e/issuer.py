"""A JWT issuer on this machine: its discovery document and its key over HTTPS, and tokens as it signs them."""

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

KEY_ID = "one"


@dataclass(frozen=True)
class Issuer:
    """Where it is, the certificate by which it is known, and its key."""

    url: str
    certificate: Path
    key: rsa.RSAPrivateKey

    def token(self, key: rsa.RSAPrivateKey | None = None, **claims: Any) -> str:
        """Sign claims, with another's key where one is given; an hour is left unless `exp` says otherwise."""
        now = int(time.time())
        content = {"iss": self.url, "sub": "somebody", "iat": now - 60, "exp": now + 3600, **claims}
        return jwt.encode(content, key or self.key, algorithm="RS256", headers={"kid": KEY_ID})


@contextmanager
def running(directory: Path) -> Iterator[Issuer]:
    """Hold an issuer; `directory` keeps its certificate."""
    certificate, secret = directory / "issuer.pem", directory / "issuer.key"
    subject = ["-subj", "/CN=issuer", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*make, "-out", str(certificate), "-keyout", str(secret)], check=True, capture_output=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    server = HTTPServer(("127.0.0.1", 0), _answering(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield Issuer(f"https://127.0.0.1:{server.server_port}", certificate, key)
    finally:
        server.shutdown()
        server.server_close()


def _answering(key: rsa.RSAPrivateKey) -> type[BaseHTTPRequestHandler]:
    public = {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": KEY_ID, "alg": "RS256", "use": "sig"}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = f"https://{self.headers['host']}"
            documents = {
                "/.well-known/openid-configuration": {"issuer": address, "jwks_uri": f"{address}/keys"},
                "/keys": {"keys": [public]},
            }
            body = json.dumps(documents.get(self.path)).encode()
            self.send_response(200 if self.path in documents else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Answers
