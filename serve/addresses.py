"""Fetching media that a request names, without becoming the caller's arm into this network.

Only `https://` to allowed hosts. The check sits where the socket is made: whatever a name resolved to, and whichever
redirect led there, the address that would be connected is checked itself, so a second resolution cannot differ.
"""

import fnmatch
import ipaddress
import socket
import ssl
import urllib.parse
from types import TracebackType
from typing import Any

import aiohttp

from serve.config import MediaSettings
from serve.errors import ApiError, bad

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that IANA has assigned as global unicast; `is_global` takes site-local and reserved addresses for global too."""
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")


def is_public(address: str, private_networks: tuple[str, ...] = ()) -> bool:
    """Whether the IP address belongs to the public internet, or to a private network that is allowed.

    Addresses that carry another one (IPv4-mapped, 6to4, Teredo, NAT64) count as what they carry.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    is_global = ip.is_global and not ip.is_multicast
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped), private_networks)
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)), private_networks)
        carried = [ip.sixtofour, *(ip.teredo or ())]
        if any(c is not None and not is_public(str(c), private_networks) for c in carried):
            return False
        is_global = is_global and ip in _UNICAST and ip not in _DOCUMENTATION
    networks = (ipaddress.ip_network(n) for n in private_networks)
    return is_global or any(ip in n for n in networks if n.version == ip.version)


class _Private(OSError):
    """The name led to an address that must not be connected."""


class Fetcher:
    """One session of fetches; use as `async with`."""

    def __init__(self, settings: MediaSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Fetcher":
        context = ssl.create_default_context()
        if self._settings.ca_file:
            context.load_verify_locations(self._settings.ca_file)
        connector = aiohttp.TCPConnector(ssl=context, socket_factory=self._socket, force_close=True)
        timeout = aiohttp.ClientTimeout(total=self._settings.fetch_timeout_s)
        # no cookies, no proxies of the environment, nothing decompressed
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(),
                                              auto_decompress=False, trust_env=False)  # fmt: skip
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        if self._session is not None:
            await self._session.close()

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_public(str(address[0]), self._settings.private_networks):
            raise _Private("not a public address")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    async def fetch(self, url: str, most_bytes: int) -> bytes:
        """The body behind `url`, following redirects.

        Raises:
            ApiError: a sentence that names the host only; the rest of the address may hold a signature.
        """
        assert self._session is not None
        for _ in range(self._settings.redirects + 1):
            host = self._allowed_host(url)
            try:
                async with self._session.get(url, allow_redirects=False, headers={"Accept-Encoding": "identity"}) as reply:
                    if reply.status in (301, 302, 303, 307, 308):
                        url = urllib.parse.urljoin(url, reply.headers.get("Location", ""))
                        continue
                    if reply.status != 200:
                        raise bad(f"The media host {host} answered with status {reply.status}.")
                    return await _body(reply, host, most_bytes)
            except TimeoutError as error:
                raise bad(f"The media host {host} did not deliver within {self._settings.fetch_timeout_s:g} s.") from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if _caused_by_private(error):
                    raise ApiError(403, f"The media host {host} has no public address.", code="media_host") from error
                raise bad(f"The media host {host} cannot be reached ({type(error).__name__}).") from error
        raise bad(f"The media address is redirected more than {self._settings.redirects} times.")

    def _allowed_host(self, url: str) -> str:
        try:
            parts = urllib.parse.urlsplit(url)
            host, _ = (parts.hostname or "").rstrip(".").lower(), parts.port
        except ValueError as error:
            raise bad("A media address is malformed.") from error
        if parts.scheme != "https" or not host or parts.username or parts.password:
            raise bad("Media must be a data: URI or an https:// address without user and password.")
        allowed = self._settings.allowed_hosts
        if not any(fnmatch.fnmatchcase(host, pattern.lower()) for pattern in allowed):
            hint = "no media hosts are allowed" if not allowed else f"{host[:100]} is none of the allowed media hosts"
            raise ApiError(403, f"Media cannot be fetched: {hint} (setting media.allowed_hosts).", code="media_host")
        return host[:100]


async def _body(reply: aiohttp.ClientResponse, host: str, most_bytes: int) -> bytes:
    large = ApiError(413, f"The media at {host} has more than the {most_bytes} bytes that are left for this request.")
    if (reply.content_length or 0) > most_bytes:
        raise large
    data = bytearray()
    async for piece in reply.content.iter_chunked(1 << 16):
        data += piece
        if len(data) > most_bytes:
            raise large
    return bytes(data)


def _caused_by_private(error: BaseException) -> bool:
    """Whether the check in `_socket` ended the connection; libraries wrap, chain and group its error."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, _Private):
            return True
        waiting += [one.__cause__, one.__context__, getattr(one, "os_error", None), *getattr(one, "exceptions", ())]
    return False
