"""A server before the real one, which fails every third request, in one of three ways."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

WAYS = ("refused", "unheard", "heard, without an answer")
NOT_FORWARDED = ("transfer-encoding", "connection", "content-length")


@contextmanager
def tired(url: str) -> Iterator[tuple[str, Counter[str]]]:
    """The tired server's own URL, and how often it failed in which way."""
    failures = Counter[str]()
    handler = type("Handler", (_Handler,), {"real": urlsplit(url), "failures": failures})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", failures
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    real: Any
    failures: Counter[str]
    count: ClassVar[Iterator[int]] = iter(range(1, 1_000_000))

    def _answer(self) -> None:
        number = next(self.count)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        way = WAYS[number // 3 % len(WAYS)] if number % 3 == 0 else ""
        if way:
            self.failures[way] += 1
        if way == "refused":
            self.send_error(503)
            return
        if way == "unheard":
            self.close_connection = True
            self.connection.close()
            return
        connection = HTTPConnection(self.real.hostname, self.real.port, timeout=60)
        headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if way:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in NOT_FORWARDED:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
