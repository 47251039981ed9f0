"""The one place where aiohttp's errors become Kasparro's."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from kasparro_adapters.http.guard import refused_addresses
from kasparro_adapters.http.inflate import ACCEPTED, UnknownEncodingError
from kasparro_adapters.http.messages import shortened
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError
from kasparro_core.policy.retry import Fault, judge_fault

HEADER_BYTES = 16 * 1024
"""A status line or header of an answer may be this long; more is an error."""

HEADERS = 128
"""An answer may have so many headers."""

_OVERLONG = re.compile(r"^Got more than \d+ bytes|^Too many headers")  # aiohttp has no class of its own for the second
_HINTS = {
    Fault.PRIVATE_ADDRESS: "If this host may be reached, set `allow_private_hosts = true` in",
    Fault.TIMEOUT: "If it needs longer, raise `timeout` of",
}


def failure(source: str, fault: Fault, message: str, hint: str | None = None) -> SourceError:
    """The error of a fault: transient when the policy says that it may pass."""
    kind = TransientSourceError if judge_fault(fault).passes else PermanentSourceError
    return kind(f"{source}: {message}", source=source, code=str(fault), hint=hint)


def retry_reason(error: TransientSourceError) -> str:
    """Why a request is tried again, in a word: "429", "5xx", or the fault ("timeout", "connection" ...)."""
    status = error.code.removeprefix("http_")
    return "5xx" if status != error.code and status[0] == "5" else status


@contextmanager
def translated(source: str, shown: str, timeout: float) -> Iterator[None]:
    """Runs one request to `shown` (an address without secrets); whatever aiohttp raises leaves as a SourceError.

    Anything else (a sink that is full, a bug) passes through as it is.
    """
    refused: list[str] = []
    token = refused_addresses.set(refused)
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, zlib.error, UnknownEncodingError) as error:
        if refused and isinstance(error, aiohttp.ClientConnectorError):
            message = f"{shown} leads to {', '.join(sorted(set(refused)))}, which is not a public address."
            raise failure(source, Fault.PRIVATE_ADDRESS, message, _hint(Fault.PRIVATE_ADDRESS, source)) from error
        fault, what = _describe(error, timeout)
        raise failure(source, fault, f"{shown}: {what}.", _hint(fault, source)) from error
    finally:
        refused_addresses.reset(token)


def _hint(fault: Fault, source: str) -> str | None:
    return f"{_HINTS[fault]} [sources.{source}]." if fault in _HINTS else None


def _describe(error: Exception, timeout: float) -> tuple[Fault, str]:
    """What an error means. The order matters: aiohttp's classes overlap. An unknown one is a bug and is raised."""
    detail = shortened(str(error), 160)
    match error:
        case TimeoutError():
            return Fault.TIMEOUT, f"no complete answer within {timeout:g} s"
        case zlib.error():
            return Fault.CONTENT_ENCODING, f"the compressed body is damaged ({detail})"
        case UnknownEncodingError():
            return Fault.CONTENT_ENCODING, f"expected Content-Encoding {ACCEPTED} or none, found {detail!r}"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ServerFingerprintMismatch():
            return Fault.TLS_CERTIFICATE, "the server's TLS certificate is not accepted"
        case aiohttp.ClientConnectorDNSError():
            return Fault.DNS, "the host name cannot be resolved"
        case aiohttp.ClientConnectorError():
            return Fault.CONNECTION, f"cannot connect ({shortened(str(error.os_error), 160)})"
        case aiohttp.ClientPayloadError():
            return Fault.INCOMPLETE_BODY, "the connection ended before the whole body had come"
        case aiohttp.ClientConnectionError():
            return Fault.CONNECTION, "the connection was lost before an answer came"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Fault.BAD_URL, "the address cannot be fetched"
        case aiohttp.ClientResponseError():
            return _unacceptable(error)
        case _:
            raise error


def _unacceptable(error: aiohttp.ClientResponseError) -> tuple[Fault, str]:
    if _OVERLONG.search(error.message):
        return (
            Fault.HEADERS_TOO_LARGE,
            f"expected at most {HEADERS} headers of at most {HEADER_BYTES:,} bytes each, found more",
        )
    return Fault.BAD_ANSWER, f"the answer is not acceptable HTTP ({shortened(error.message, 160)})"
