"""A judge behind a real local address, and its section of the recipe."""

import contextlib
import http.server
import json
import threading

from small_rl.study_settings import Judge


@contextlib.contextmanager
def server(answer, *reason):
    """A local HTTP server. answer: (number of the request, its body) -> (status, text of the reply's message).

    reason: the words beside the status, instead of the standard's
    """
    seen: list[dict] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append({"path": self.path, "key": self.headers["Authorization"], "body": body})
            status, text = answer(len(seen), body)
            self.send_response(status, *reason)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            layout = {"choices": [{"message": {"content": text}}]} if text is not None else {}
            with contextlib.suppress(OSError):
                self.wfile.write(json.dumps(layout).encode())

        def log_message(self, *_):
            pass

    local = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    local.daemon_threads = True
    thread = threading.Thread(target=local.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{local.server_port}/v1", seen
    finally:
        local.shutdown()
        local.server_close()
        thread.join()


def settings(address: str, **changes) -> Judge:
    values = {"address": address, "model": "judge", "key": None, "pairs": 8, "max_tokens": 16, "timeout": 5.0,
              "retries": 1, "workers": 1, "total_timeout": 60.0}  # fmt: skip
    return Judge(**(values | changes))
