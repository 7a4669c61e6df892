"""The way to the API: proxies, certificates and redirects, and where a credential may go."""

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from openclip_lambda.api import Api
from openclip_lambda.cli import main as cli
from openclip_lambda.credentials import bearer
from openclip_lambda.errors import ClientError, ResponseError
from openclip_lambda.transport import Response

from tests.unit.client.conftest import Run, Scripted

HEALTH = b'{"status": "ok"}'


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_credential_and_no_image_follows_a_redirect(
    scripted: Scripted, other: Scripted, status: int, method: str
) -> None:
    place = f"{other.url.replace('127.0.0.1', 'localhost')}/steal?token=hunter2"
    scripted.always(status, location=place)
    api = Api(scripted.url, bearer("hunter2"))

    with pytest.raises(ResponseError, match=f"answered {status}: a redirect to http://localhost:") as caught:
        api.get("/health") if method == "get" else api.post("/v1/embeddings", {"input": "a"})

    assert other.requests == []
    assert len(scripted.requests) == 1
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://me:hunter2@login.test:8443/in?next=hunter2#hunter2", "https://login.test:8443/in"),
        ("//me:hunter2@login.test/in", "//login.test/in"),
        ("/in?token=hunter2", "/in"),
        ("https://me:hunter2@[::1", "an address that cannot be read"),
        ("?token=hunter2", "no address"),
    ],
)
def test_the_message_of_a_redirect_shows_no_secret_of_its_address(location: str, shown: str) -> None:
    response = Response(302, {"location": location}, b"")
    with pytest.raises(ResponseError, match="answered 302") as caught:
        Api("http://127.0.0.1:9").read("http://127.0.0.1:9/health", response, {})
    assert f" a redirect to {shown}, which is not followed" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_key_is_not_shown_even_if_the_server_shows_it(scripted: Scripted) -> None:
    scripted.answer = lambda path, body: (403, {}, str(scripted.requests[-1][2]).encode())
    with pytest.raises(ResponseError, match="answered 403") as caught:
        Api(scripted.url, bearer("hunter2")).get("/health")
    assert "hunter2" not in str(caught.value)
    assert "***" in str(caught.value)


def test_a_proxy_is_used_and_its_password_is_not_shown(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted.always(200, HEALTH)
    proxy = scripted.url.replace("http://", "http://me:hunter2@")
    monkeypatch.setenv("http_proxy", proxy)
    api = Api("http://api.test/base", insecure_http=True)

    assert api.get("/health") == {"status": "ok"}
    method, path, headers, _ = scripted.requests[0]
    assert (method, path, headers["host"]) == ("GET", "http://api.test/base/health", "api.test")
    assert headers["proxy-authorization"] == "Basic bWU6aHVudGVyMg=="  # me:hunter2

    scripted.always(407, b"who are you")
    with pytest.raises(ResponseError, match=r"answered 407: .*put the proxy's user and password") as caught:
        api.get("/health")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_https_goes_through_a_tunnel(scripted: Scripted, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    scripted.always(407)
    monkeypatch.setenv(name, scripted.url.removeprefix("http://"))  # people leave the scheme out

    with pytest.raises(ResponseError, match=r"does not answer through the proxy .*: the proxy wants credentials"):
        Api("https://api.test", bearer("hunter2")).get("/health")

    assert [(method, path) for method, path, _, _ in scripted.requests] == [("CONNECT", "api.test:443")]
    assert "authorization" not in scripted.requests[0][2]


@pytest.mark.parametrize("exception", ["api.test", ".test", "*", "other,api.test:443"])
def test_a_host_may_be_excepted_from_the_proxy(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, exception: str
) -> None:
    monkeypatch.setenv("https_proxy", scripted.url)
    monkeypatch.setenv("no_proxy", exception)
    with pytest.raises(ResponseError, match=r"does not answer: no such host"):
        Api("https://api.test:443" if ":" in exception else "https://api.test").get("/health")
    assert scripted.requests == []


def test_what_is_local_never_goes_through_a_proxy(
    scripted: Scripted, other: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.always(200, HEALTH)
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, other.url)
    Api(scripted.url, bearer("hunter2")).get("/health")
    Api(scripted.url.replace("127.0.0.1", "localhost"), bearer("hunter2")).get("/health")
    assert (len(scripted.requests), other.requests) == (2, [])


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("socks5://127.0.0.1:1080", "a proxy that this client cannot use"),
        ("socks5h://me:hunter2@127.0.0.1:1080", "a proxy that this client cannot use"),
        ("SOCKS4://127.0.0.1:1080", "a proxy that this client cannot use"),
        ("http://", "no address of a proxy"),
        ("http://proxy:port", "no address of a proxy"),
        ("http://me:hunter2@proxy:99999", "no address of a proxy"),
        ("http://[::1", "no address of a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, proxy: str, says: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ClientError, match=f"HTTPS_PROXY or ALL_PROXY is .*{says}") as caught:
        Api("https://api.test")
    assert "hunter2" not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of a company for this machine, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Company CA")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("ca") / "company.pem"
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> Iterator[str]:
    """An API behind that certificate; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(HEALTH)))
            self.end_headers()
            self.wfile.write(HEALTH)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: who does not trust the certificate hangs up."""

    server = Quiet(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"])
def test_a_company_s_certificate_is_trusted_where_the_usual_variables_name_it(
    tls: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(ResponseError, match=r"certificate is not trusted \(self.signed .*set SSL_CERT_FILE"):
        Api(tls).get("/health")
    monkeypatch.setenv(name, str(certificate))
    assert Api(tls).get("/health") == {"status": "ok"}


def test_a_certificate_of_another_host_is_reported(
    tls: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(ResponseError, match=r"certificate is not trusted \(Hostname mismatch"):
        Api(tls.replace("127.0.0.1", "localhost")).get("/health")


def test_certificates_that_cannot_be_read_are_reported_with_their_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_text("no certificate")
    for path, says in ((tmp_path / "nowhere.pem", "No such file"), (tmp_path / "none.pem", "no certificate in PEM")):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        with pytest.raises(ClientError, match=f"REQUESTS_CA_BUNDLE={path}: .*{says}"):
            Api("https://api.test")


def test_tls_where_there_is_none_and_none_where_there_is_tls(scripted: Scripted, tls: str) -> None:
    with pytest.raises(ResponseError, match="is it an http:// address"):
        Api(scripted.url.replace("http:", "https:")).get("/health")
    with pytest.raises(ResponseError, match="does not answer"):
        Api(tls.replace("https:", "http:")).get("/health")


def test_the_flag_reaches_the_address(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["health", "--url", "http://api.test"]) == 1
    assert "--insecure-http" in capsys.readouterr().err
    assert cli.main(["health", "--url", "http://api.test", "--insecure-http"]) == 1
    assert "http://api.test/health does not answer: no such host" in capsys.readouterr().err
