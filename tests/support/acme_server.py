"""A real ACME server (Pebble) and its name server, built from pinned modules and run on loopback for one test."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from runtime.trust.authority import LocalAuthority
from runtime.trust.challenges import HttpChallenges
from runtime.trust.leaves import key_pem, new_key, signing_request

MODULE = Path(__file__).parents[1] / "engines" / "acme"
PROGRAMS = ("pebble", "pebble-challtestsrv")
AVAILABLE = shutil.which("go") is not None or all(shutil.which(p) for p in PROGRAMS)
"""Whether the real server can be run on this machine: with Go, or with its programs on PATH."""


@dataclass(frozen=True)
class AcmeServer:
    directory: str
    trust: ssl.SSLContext
    roots: bytes
    challenges: HttpChallenges


@cache
def _program(name: str) -> str:
    found = shutil.which(name)
    if found is not None:
        return found
    folder = Path(tempfile.gettempdir()) / f"opsmesh-engines-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    flags = {"GOFLAGS": "-mod=mod -buildvcs=false"}
    target = f"github.com/letsencrypt/pebble/v2/cmd/{name}"
    command = ["go", "build", "-ldflags", "-s -w", "-o", str(folder / name), target]
    subprocess.run(command, cwd=_module(folder), env=os.environ | flags, check=True, capture_output=True)
    return str(folder / name)


def _module(folder: Path) -> Path:
    copied = folder / "module"
    shutil.copytree(MODULE, copied, dirs_exist_ok=True)
    return copied


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@contextmanager
def acme_server(folder: Path) -> Iterator[AcmeServer]:
    now, key, challenges = datetime.now(UTC), new_key(), HttpChallenges()
    ca = LocalAuthority(folder / "ca", "server-ca", now)
    request = signing_request(key, ["localhost"])
    (folder / "cert.pem").write_bytes(
        ca.sign(request, not_before=now - timedelta(hours=1), not_after=now + timedelta(days=1))
    )
    (folder / "key.pem").write_bytes(key_pem(key))
    port, management, names = _free_port(), _free_port(), _free_port()
    config = {
        "listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(folder / "cert.pem"), "privateKey": str(folder / "key.pem"), "httpPort": challenges.port,
        "tlsPort": _free_port(), "ocspResponderURL": "", "externalAccountBindingRequired": False,
        "retryAfter": {"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
        "profiles": {"default": {"description": "ninety days", "validityPeriod": 7776000}},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"pebble": config}))
    off = ("-doh", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", "", "-defaultIPv6", "")
    commands = (
        [_program("pebble-challtestsrv"), "-dnsserver", f"127.0.0.1:{names}", *off],
        [_program("pebble"), "-config", str(folder / "config.json"), "-dnsserver", f"127.0.0.1:{names}"],
    )
    quick = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20"}
    running = [subprocess.Popen(c, env=quick, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for c in commands]
    trust = ssl.create_default_context(cadata=ca.anchors().decode())
    try:
        roots = _roots(f"https://localhost:{management}/roots/0", trust)
        yield AcmeServer(f"https://localhost:{port}/dir", trust, roots, challenges)
    finally:
        for process in running:
            process.terminate()
            process.wait()
        challenges.close()


def _roots(url: str, trust: ssl.SSLContext) -> bytes:
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, context=trust) as answer:  # noqa: S310  # our own loopback server
                return answer.read()
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("the ACME server did not start")
