"""A SOCKS 5 proxy (RFC 1928) that connects everybody to one port of this machine, and notes whom they asked for."""

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def socks_proxy(port: int) -> Iterator[tuple[str, list[str]]]:
    """Run it for the length of the block: its host and port, and the names that were asked for."""
    asked: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: socket.socket = self.request
            _version, methods = client.recv(2)
            client.recv(methods)
            client.sendall(b"\x05\x00")  # no authentication
            _version, _connect, _reserved, kind = client.recv(4)
            is_name = kind == 3  # which the proxy resolves
            name = client.recv(client.recv(1)[0]).decode() if is_name else socket.inet_ntoa(client.recv(4))
            asked.append(f"{name}:{struct.unpack('!H', client.recv(2))[0]}")
            with socket.create_connection(("127.0.0.1", port)) as server:
                client.sendall(b"\x05\x00\x00\x01" + bytes(6))
                server.sendall(client.recv(65536))
                while data := server.recv(65536):
                    client.sendall(data)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
