"""A proxy in front of one registry that remembers every request, and can be slow.

It refuses to know what the requests mean. Invariant: bodies pass through unchanged and piece by piece.
"""

import http.client
import http.server
import threading
import time

PIECE = 64 * 1024


class Proxy:
    """The rates are in bytes per second, each for all uploads or downloads together; none is no limit."""

    def __init__(self, upstream, upload_rate=None, download_rate=None):
        self.requests = []  # (method, path)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.upstream = upstream
        self._server.requests = self.requests
        self._server.up, self._server.down = _Brake(upload_rate), _Brake(download_rate)
        self.host = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Brake:
    def __init__(self, rate):
        self._rate = rate
        self._free = 0.0  # when the next byte may pass
        self._lock = threading.Lock()

    def pay(self, count):
        if not self._rate:
            return
        with self._lock:
            self._free = max(self._free, time.monotonic()) + count / self._rate
            wait = self._free - time.monotonic()
        time.sleep(max(0, wait))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.upstream = http.client.HTTPConnection(self.server.upstream)

    def finish(self):
        self.upstream.close()
        super().finish()

    def pass_on(self):
        self.server.requests.append((self.command, self.path))
        # The Host of the client goes along, so that the registry's Location leads back here.
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                self.upstream.putheader(name, value)
        chunked = self.headers.get("Transfer-Encoding") == "chunked"
        self.upstream.endheaders(self._chunks() if chunked else self._body(), encode_chunked=chunked)
        self._answer(self.upstream.getresponse())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

    def _body(self):
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                raise ConnectionError("the client went away")
            left -= len(piece)
            self.server.up.pay(len(piece))
            yield piece

    def _chunks(self):
        while size := int(self.rfile.readline().split(b";")[0], 16):
            piece = self.rfile.read(size)
            self.rfile.readline()
            self.server.up.pay(size)
            yield piece
        while self.rfile.readline().strip():
            pass  # trailers

    def _answer(self, answer):
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        # What comes without a length is small: a list of tags, an error.
        whole = answer.read() if answer.headers["Content-Length"] is None else None
        if whole is not None and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        if whole is not None:
            self.wfile.write(whole)
            return
        while piece := answer.read(PIECE):
            self.server.down.pay(len(piece))
            self.wfile.write(piece)

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # clients may hang up when they have what they want

    def log_message(self, *_):
        pass
