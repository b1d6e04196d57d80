"""Looks at what a TLS server shows to those who come from outside; reads no Secret.

Room: faults. Several handshakes on connections of their own, since several servers may stand behind
one address. Nothing is verified, or an expired certificate could not be read.
"""

import datetime as dt
import socket
import ssl
from urllib.parse import urlsplit

from cryptography import x509

from acpchaos.faults.fault import Sight

TRIES = 3
TIMEOUT_S = 5.0


def expired(url: str, was: str) -> Sight:
    """`was` is the serial number (hexadecimal) of before, or empty. Installed: every handshake
    shows a certificate that has expired, and another one than before."""
    try:
        shown = [_shown(url) for _ in range(TRIES)]
    except (OSError, ValueError) as error:
        return Sight("indeterminate", f"no handshake with {url}: {error}")
    now = dt.datetime.now(dt.UTC)
    serials = sorted({f"{each.serial_number:x}" for each in shown})
    over = [each for each in shown if each.not_valid_after_utc < now]
    fresh = [each for each in over if f"{each.serial_number:x}" != was]
    last = shown[-1].not_valid_after_utc
    saw = f"{len(over)} of {TRIES} handshakes show a certificate that has expired, the last on "
    saw += f"{last:%Y-%m-%d %H:%M} UTC"
    detail = {"serial": serials[-1], "serials": serials, "not_after": last.isoformat()}
    if not fresh:
        return Sight("not installed" if not over else "partial", saw, detail)
    return Sight("installed" if len(fresh) == TRIES else "partial", saw, detail)


def _shown(url: str) -> x509.Certificate:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    if not der:
        raise ValueError("the server showed no certificate")
    return x509.load_der_x509_certificate(der)
