"""A small real HTTP server that speaks chat completions, and can be told to fail, stall or talk nonsense."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answerer = Callable[[dict[str, Any]], "str | Trouble"]


class Trouble:
    """What the server does instead of answering."""

    def __init__(self, status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, *, stall_s: float = 0,
                 hang_up: bool = False, finish: str = "stop", content: str | None = None) -> None:  # fmt: skip
        self.status, self.body, self.headers = status, body, headers or {}
        self.stall_s, self.hang_up, self.finish, self.content = stall_s, hang_up, finish, content


def error(status: int, code: str | None = None, **headers: str) -> Trouble:
    body = {"error": {"message": f"error {status}", "code": code, "type": "x", "param": None}}
    return Trouble(status, json.dumps(body).encode(), {"retry-after-ms": "1"} | headers)


def words(request: dict[str, Any]) -> str:
    """The text of the last message."""
    content = request["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(p["text"] for p in content if p["type"] == "text")


def shown(request: dict[str, Any]) -> list[str]:
    """The addresses of pictures and films in the last message."""
    content = request["messages"][-1]["content"]
    return [] if isinstance(content, str) else [p[p["type"]]["url"] for p in content if p["type"] != "text"]


class Chat(ThreadingHTTPServer):
    """`answer` gives the text of a reply, or a `Trouble`; `seen` and `times` hold every request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answerer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.seen: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: list[str | None] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: Any) -> None:
        """Clients that were killed are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Chat

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append(request)
            self.server.times.append(time.monotonic())
            self.server.keys.append(self.headers["Authorization"])
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            self._send(self.server.answer(request))
        finally:
            with self.server.lock:
                self.server.at_once -= 1

    def _send(self, said: "str | Trouble") -> None:
        trouble = said if isinstance(said, Trouble) else Trouble(content=said)
        time.sleep(trouble.stall_s)
        if trouble.hang_up:
            self.close_connection = True
            self.connection.close()
            return
        data = trouble.body or json.dumps(_completion(trouble)).encode()
        self.send_response(trouble.status)
        for name, value in {"Content-Type": "application/json", **trouble.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def _completion(trouble: Trouble) -> dict[str, Any]:
    message = {"role": "assistant", "content": trouble.content}
    return {
        "id": "1", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": trouble.finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }  # fmt: skip


@contextlib.contextmanager
def serving(answer: Answerer) -> Iterator[Chat]:
    with Chat(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
