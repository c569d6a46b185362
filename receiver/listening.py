"""The sockets of the receiver, opened before its processes start.

They belong to the parent. So a connection that arrives while a worker is being started again waits
for it, and an address in use is an error of the command.
"""

import socket
from collections.abc import Sequence

from receiver.errors import StartError

BACKLOG = 2048


def listen(host: str, port: int, workers: int) -> Sequence[Sequence[socket.socket]]:
    """For each worker a socket for each address of `host`. Several at one address share it by
    SO_REUSEPORT: Linux then gives each its part of the connections, while of several processes at
    one socket the first to wake takes them all. Raises StartError if one cannot be used."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses = [(family, address) for family, _, _, _, address in found]
        alone = [_listening(family, address) for family, address in addresses]
        if workers == 1:
            return [alone]
        # Without SO_REUSEPORT these have shown that no other program uses the addresses.
        for one in alone:
            one.close()
        return [
            [_listening(family, address, shared=True) for family, address in addresses]
            for _ in range(workers)
        ]
    except OSError as error:
        raise StartError(
            f"RECEIVER_HOST, RECEIVER_PORT: cannot listen on {host}, port {port}: {error.strerror}."
        ) from None


def _listening(family: int, address: tuple[object, ...], *, shared: bool = False) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:  # IPv4 has a socket of its own
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.bind(address)
    opened.listen(BACKLOG)
    return opened
