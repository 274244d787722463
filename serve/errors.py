"""What a caller is told when a request is refused: an HTTP status and OpenAI's error object, one sentence."""

import json
from typing import Any

from starlette.responses import Response

TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
         405: "invalid_request_error", 408: "timeout_error", 413: "invalid_request_error", 415: "invalid_request_error",
         429: "rate_limit_error"}  # fmt: skip


class ApiError(Exception):
    """A refusal. `param` names the part of the request that is wrong, `retry_after_s` when to come back."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:  # fmt: skip
        # a sentence may quote the request: no line breaks or control characters reach the log or a terminal
        message = " ".join("".join(c if c.isprintable() else " " for c in message).split())
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.retry_after_s = status, message, code, param, retry_after_s

    def body(self) -> dict[str, Any]:
        """OpenAI's error object."""
        kind = TYPES.get(self.status, "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """The HTTP answer."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(max(1, round(self.retry_after_s + 0.5)))}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(json.dumps(self.body()), self.status, headers, media_type="application/json")

    def event(self) -> str:
        """The same within a stream that has already begun."""
        return f"data: {json.dumps(self.body())}\n\n"


def bad(message: str, param: str | None = None) -> ApiError:
    """A request that is wrong in itself."""
    return ApiError(400, message, param=param)
