"""An authority of the tests' own, made with openssl in a temporary folder; its certificates end when they should."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

__all__ = ["Authority"]

_CONFIG = """
[ca]
default_ca = own
[own]
dir = {dir}
new_certs_dir = {dir}/made
database = {dir}/index
serial = {dir}/serial
certificate = {dir}/ca.pem
private_key = {dir}/ca.key
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


class Authority:
    """Signs certificates; `ca_file` is its own."""

    def __init__(self, folder: Path, name: str = "tests") -> None:
        if shutil.which("openssl") is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("openssl is not on PATH")
        self.folder = folder / name
        (self.folder / "made").mkdir(parents=True)
        (self.folder / "index").touch()
        (self.folder / "serial").write_text("01\n")
        self._config = self.folder / "config"
        self._config.write_text(_CONFIG.format(dir=self.folder))
        self.ca_file = self.folder / "ca.pem"
        _key(self.folder / "ca.key")
        _run(
            "req",
            "-x509",
            "-new",
            "-key",
            self.folder / "ca.key",
            "-subj",
            f"/CN={name}",
            "-days",
            "2",
            "-out",
            self.ca_file,
        )

    def issue(
        self, name: str, *, hosts: str = "DNS:localhost,IP:127.0.0.1", seconds: float = 86400, begins_s: float = -3600
    ) -> tuple[Path, Path]:
        """Certificate and key called `name`, made anew, for `hosts`, which ends `seconds` from now."""
        cert, key, wish = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        _key(key)
        _run("req", "-new", "-key", key, "-subj", f"/CN={name}", "-addext", f"subjectAltName={hosts}", "-out", wish)
        now = datetime.now(UTC)
        begin, end = (f"{now + timedelta(seconds=s):%Y%m%d%H%M%SZ}" for s in (begins_s, seconds))
        _run(
            "ca",
            "-batch",
            "-notext",
            "-config",
            self._config,
            "-startdate",
            begin,
            "-enddate",
            end,
            "-in",
            wish,
            "-out",
            cert,
        )
        return cert, key


def _key(path: Path) -> None:
    _run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def _run(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
