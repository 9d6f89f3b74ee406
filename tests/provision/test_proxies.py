"""What stands between us and a server: a proxy, a certificate of one's own authority, a name and a password.

The proxy is a real one in a process of its own, the certificates are made by openssl.
"""

from __future__ import annotations

import base64
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archives
import pytest
from servers import Server
from world import World, assert_verifies

from libtorch_ffi.errors import DownloadError
from libtorch_ffi.provision import Settings, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

PROXY = Path(__file__).parents[1] / "proxy.py"


@dataclass
class Proxy:
    """A proxy that runs."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)

    def seen(self) -> list[str]:
        """End it, and return what it was asked."""
        assert self.process.stdout is not None
        self.process.kill()
        return self.process.stdout.read().splitlines()


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(PROXY)], **pipes) as process:
        assert process.stdout is not None
        yield Proxy(process, f"http://127.0.0.1:{process.stdout.readline().strip()}")
        process.kill()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate of 127.0.0.1 that is its own authority, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    subprocess.run(command, check=True, capture_output=True)
    path = folder / "pem"
    path.write_bytes((folder / "crt").read_bytes() + (folder / "key").read_bytes())
    return path


@pytest.fixture
def tls_world(certificate: Path, tmp_path: Path) -> Iterator[World]:
    """Return a world whose server speaks TLS, with a certificate that no authority vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server(context) as server:
        settings = Settings(
            version=archives.VERSION,
            platform="linux-x86_64",
            home=tmp_path / "home",
            source="pypi",
            index_url=f"{server.url}/simple",
            environ={},
        )
        world = World(server, settings)
        world.list_on_pypi("torch", {world.torch.rpartition("/")[2]: archives.torch_wheel("cpu")})
        yield world


def test_a_proxy_is_asked_for_all_of_it(cpu_world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert_verifies(ensure(cpu_world.with_(source="pypi")).prefix)
    lines = proxy.seen()
    assert len(lines) == len(cpu_world.site.requests)
    assert all(line.startswith(f"GET {cpu_world.server.url}/") for line in lines)


def test_no_proxy_goes_around_it(cpu_world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    assert_verifies(ensure(cpu_world.with_(source="pypi")).prefix)
    assert proxy.seen() == []


def test_a_proxy_that_is_not_there_is_named(cpu_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="the proxy that HTTPS_PROXY or HTTP_PROXY names"):
        ensure(cpu_world.with_(source="pypi"))
    assert cpu_world.site.requests == []


def test_an_authority_of_ones_own(tls_world: World, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match="not trusted; REQUESTS_CA_BUNDLE"):
        ensure(tls_world.settings)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert_verifies(ensure(tls_world.settings).prefix)


def test_tls_goes_through_a_proxy_as_a_tunnel(
    tls_world: World, certificate: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert_verifies(ensure(tls_world.settings).prefix)
    lines = proxy.seen()
    assert set(lines) == {f"CONNECT {tls_world.server.url.removeprefix('https://')}"}


def test_a_password_in_netrc(cpu_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_world.site.authorization = f"Basic {base64.b64encode(b'ada:secret').decode()}"
    with pytest.raises(DownloadError, match=r"401.*\.netrc"):
        ensure(cpu_world.with_(source="pypi"))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    tree = ensure(cpu_world.with_(source="pypi")).prefix
    assert_verifies(tree)
    assert "secret" not in (tree / ".ok").read_text()


def test_a_password_in_the_address_is_used_and_not_written_down(cpu_world: World) -> None:
    cpu_world.site.authorization = f"Basic {base64.b64encode(b'ada:secret').decode()}"
    with_password = cpu_world.server.url.replace("http://", "http://ada:secret@")
    page = archives.json_page("torch", {cpu_world.torch.rpartition("/")[2]: b""}, f"{with_password}/files")
    page = page.replace(
        archives.sha256(b"").encode(), archives.sha256(cpu_world.site.files[cpu_world.torch][1]).encode()
    )
    page = page.replace(b'"size": 0', f'"size": {len(cpu_world.site.files[cpu_world.torch][1])}'.encode())
    cpu_world.site.put("/simple/torch/", page, "application/vnd.pypi.simple.v1+json")
    tree = ensure(cpu_world.with_(source="pypi", index_url=f"{with_password}/simple")).prefix
    assert_verifies(tree)
    assert "secret" not in (tree / ".ok").read_text()
