"""A data set whose terms nobody here has accepted: one sentence. The hub is a local server that answers as it does."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading

from tests.helpers.fetching import COMMIT


@contextlib.contextmanager
def hub(status: int, **headers: str):
    """A server that answers everything so; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    local = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=local.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{local.server_port}"
    finally:
        local.shutdown()
        local.server_close()


def test_a_gated_data_set_is_one_sentence_that_says_what_to_do(tmp_path):
    settings = {"hub": "some/set", "revision": COMMIT, "split": "train", "gold": "every"}
    words = ["--settings", json.dumps(settings), "--out", str(tmp_path / "data.json")]
    with hub(403, X_Error_Code="GatedRepo", X_Error_Message="Access to dataset some/set is restricted.") as address:
        env = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        env = {name: value for name, value in env.items() if "proxy" not in name.lower()} | {"NO_PROXY": "*"}
        done = subprocess.run(
            [sys.executable, "-m", "polaris.problems.fetch_problems", *words],
            env=env, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    assert done.returncode == 1 and not (tmp_path / "data.json").exists()
    assert "some/set: this dataset is gated: accept its terms on its page of the hub" in done.stderr
    assert "Traceback" not in done.stderr
