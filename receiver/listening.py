"""The sockets of the receiver, opened before its processes start.

They belong to the parent. So a connection that arrives while the child is being started again waits
for it, and an address in use is an error of the command.
"""

import socket
from collections.abc import Sequence

from receiver.errors import StartError

BACKLOG = 2048


def listen(host: str, port: int) -> Sequence[socket.socket]:
    """A socket for each address of `host`. Raises StartError if one cannot be used."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [_listening(family, address) for family, _, _, _, address in found]
    except OSError as error:
        raise StartError(
            f"RECEIVER_HOST, RECEIVER_PORT: cannot listen on {host}, port {port}: {error.strerror}."
        ) from None


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:  # IPv4 has a socket of its own
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.bind(address)
    opened.listen(BACKLOG)
    return opened
