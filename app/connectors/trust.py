"""TLS settings of outgoing calls: the system's trust, or a connection's own bundle in its place."""

from __future__ import annotations

import ssl
from functools import lru_cache

from app.connectors.sockets import DeadlineTLSSocket


class BadCABundle(ValueError):
    """The bundle is not PEM text with certificates."""


@lru_cache(maxsize=128)
def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """A context that demands a trusted certificate for the right name; made once for each bundle.

    `ca_bundle` is PEM text, or None for the system's trust.  Raises BadCABundle.
    """
    try:
        # Not create_default_context, which also obeys SSLKEYLOGFILE and would write down session keys.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca_bundle:
            # Bundles carry comments with names in them; only the certificates matter, and those are ASCII.
            context.load_verify_locations(cadata=ca_bundle.encode("ascii", "ignore").decode("ascii"))
        else:
            context.load_default_certs()
    except (ssl.SSLError, ValueError, UnicodeError):
        raise BadCABundle("The CA bundle cannot be read; it must be certificates in PEM form.") from None
    context.sslsocket_class = DeadlineTLSSocket
    return context


def ca_bundle_problem(ca_bundle: str) -> str | None:
    """What is wrong with a bundle as text, as a sentence; None when it can be used."""
    try:
        tls_context(ca_bundle)
    except BadCABundle as problem:
        return str(problem)
    return None
