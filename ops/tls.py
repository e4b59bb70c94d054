"""TLS for the lines that `demo` and `bench` open themselves, under the same rules as the library's own."""

from __future__ import annotations

import socket
import ssl
from typing import Any

__all__ = ["wrapped"]


def wrapped(sock: socket.socket, endpoint: Any) -> ssl.SSLSocket:
    """`sock` after the greeting: name and authority verified, TLS 1.2 or newer. Raises OSError."""
    files = endpoint.tls_files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.ca_file:
        context.load_verify_locations(files.ca_file)
    else:
        context.load_default_certs()
    if files.cert_file:
        context.load_cert_chain(files.cert_file, files.key_file or None, "")
    return context.wrap_socket(sock, server_hostname=endpoint.hosts[0][0])
