"""TLS of the control API, with client certificates and without."""

import http.client
import ssl
import subprocess
from pathlib import Path

import pytest

from conftest import new_token

SERVER = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def openssl(folder: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def make_ca(folder: Path, name: str) -> None:
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}-key.pem", "-out", f"{name}.pem")


def make_leaf(folder: Path, ca: str, name: str, *extensions: str) -> None:
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}-key.pem", "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text("\n".join(["basicConstraints=CA:FALSE", *extensions]))
    openssl(folder, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}-key.pem",
            "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def certs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    for ca in ["ca", "strangers"]:
        make_ca(folder, ca)
    make_leaf(folder, "ca", "server", SERVER)
    make_leaf(folder, "ca", "client", "extendedKeyUsage=clientAuth")
    make_leaf(folder, "strangers", "stranger", "extendedKeyUsage=clientAuth")
    return folder


def settings(certs: Path, client_ca: bool) -> str:
    lines = ["[http.tls]", f'cert = "{certs}/server.pem"', f'key = "{certs}/server-key.pem"']
    return "\n".join(lines + ([f'client_ca = "{certs}/ca.pem"'] if client_ca else [])) + "\n"


def trusting(certs: Path, ca: str = "ca", client: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certs / f"{ca}.pem")
    if client:
        context.load_cert_chain(certs / f"{client}.pem", certs / f"{client}-key.pem")
    return context


def test_requests_go_over_tls_and_only_over_tls(haltline, certs):
    token, tokens = new_token("ops", ["read"])
    server = haltline(settings(certs, client_ca=False) + tokens, tls=trusting(certs))
    assert server.url.startswith("https://")
    assert server.get("/v1/sessions", token=token).status == 200
    assert server.get("/v1/sessions").status == 401
    server._tls = trusting(certs, "strangers")
    with pytest.raises(ssl.SSLCertVerificationError):
        server.get("/healthz")
    server.url = server.url.replace("https", "http")
    with pytest.raises((OSError, http.client.HTTPException)):
        server.get("/healthz")


def test_only_clients_with_a_certificate_of_ours_get_in(haltline, certs):
    server = haltline(settings(certs, client_ca=True), tls=trusting(certs, client="client"))
    assert server.get("/v1/sessions").status == 200
    for client in [None, "stranger"]:
        server._tls = trusting(certs, client=client)
        with pytest.raises((ssl.SSLError, OSError)):
            server.get("/healthz")
    server._tls = trusting(certs, client="client")
    assert server.get("/healthz").status == 200, "others do not disturb"
