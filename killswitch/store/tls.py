"""TLS towards Redis and the sentinels: contexts, how long the certificates last, and what went wrong in one word.

Invariant: nothing is sent before the other side has proved its name under an authority that is trusted here, in TLS
1.2 or newer; there is no way to turn that off and no second try without it. Files are read for each connection, so a
renewed certificate is in use from the next one on. It fails closed: a file that cannot be read is no connection.
"""

from __future__ import annotations

import socket
import ssl

from killswitch.core.certificate import ends_ms
from killswitch.core.endpoint import TlsFiles
from killswitch.core.reasons import Code

__all__ = ["TlsFileTrouble", "client_context", "last_ms", "trouble"]

_EXPIRED = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


class TlsFileTrouble(OSError):
    """A file that a setting names cannot be used."""


def _no_passphrase() -> str:
    """Asked for by an encrypted key, which would otherwise ask whoever sits at the terminal."""
    raise TlsFileTrouble("the key is encrypted: give one without a passphrase, readable by this user alone")


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """What a connection is made with: verified name and authority, TLS 1.2 or newer.

    Raises:
        TlsFileTrouble: a file cannot be read, or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and its name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    name, path = "tls_ca_file", files.ca_file
    try:
        if path:
            context.load_verify_locations(path)
        else:
            context.load_default_certs()
        if files.cert_file:
            name, path = "tls_cert_file", files.cert_file
            context.load_cert_chain(path, files.key_file or None, _no_passphrase)
    except TlsFileTrouble as error:
        raise TlsFileTrouble(f"KILLSWITCH_TLS_KEY_FILE: {files.key_file or path}: {error}") from None
    except OSError as error:  # an SSLError is one
        why = "no certificate, or not the one of its key" if isinstance(error, ssl.SSLError) else error.strerror
        if isinstance(error, FileNotFoundError) and files.cert_file:
            path = f"{path} or {files.key_file}" if files.key_file and name == "tls_cert_file" else path
        raise TlsFileTrouble(f"KILLSWITCH_{name.upper()}: {path}: {why}") from None
    return context


def last_ms(sock: socket.socket, files: TlsFiles) -> int:
    """When the first of the certificates of a connection ends, ours or theirs, in milliseconds since the Unix epoch; 0
    where there is none."""
    if not isinstance(sock, ssl.SSLSocket):
        return 0
    theirs = (sock.getpeercert() or {}).get("notAfter")
    ends = [ssl.cert_time_to_seconds(str(theirs)) * 1000] if theirs else []
    if files.cert_file:
        try:
            with open(files.cert_file, encoding="ascii", errors="replace") as file:
                ours = ends_ms(file.read(1 << 20))
        except OSError:  # replaced at this very moment; the next connection reads it
            ours = None
        ends += [] if ours is None else [ours]
    return min(ends, default=0)


def trouble(error: OSError) -> tuple[Code, str] | None:
    """Code and words for what TLS has to say of a failure; None for one that has nothing to do with it."""
    if isinstance(error, TlsFileTrouble):
        return Code.TLS_REFUSED, str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        code = Code.TLS_EXPIRED if error.verify_code in _EXPIRED else Code.TLS_REFUSED
        return code, f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        words = error.reason.lower().replace("_", " ")
        if "alert" in words:
            code = Code.TLS_EXPIRED if "expired" in words else Code.TLS_REFUSED
            return code, f"it does not accept this client: {words.partition('alert ')[2] or words}"
        if "eof" not in words:
            return Code.TLS_REFUSED, f"no TLS connection comes about: {words}"
    return None
