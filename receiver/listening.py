"""The sockets of the receiver, opened before its processes start.

They belong to the parent. So a connection that arrives while a worker is being started again waits
for it, and an address in use is an error of the command.
"""

import socket
from collections.abc import Sequence

from receiver.errors import StartError

BACKLOG = 2048


def listen(host: str, port: int, workers: int) -> Sequence[Sequence[socket.socket]]:
    """For each worker its sockets. With several, the kernel spreads connections over them.

    Raises StartError if the address cannot be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        places = [(family, address) for family, _, _, _, address in found]
        for family, address in places:  # a socket that shares its port would share it with others
            _bound(family, address, shared=False).close()
        return [
            [_listening(family, address, shared=workers > 1) for family, address in places]
            for _ in range(workers)
        ]
    except OSError as error:
        raise StartError(
            f"RECEIVER_HOST, RECEIVER_PORT: cannot listen on {host}, port {port}: {error.strerror}."
        ) from None


def _listening(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    opened = _bound(family, address, shared=shared)
    opened.listen(BACKLOG)
    return opened


def _bound(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened
