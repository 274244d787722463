"""A chat request, checked in full before any engine sees it: known fields only, in their ranges, within the limits."""

from typing import Annotated, Any, Literal

import msgspec

from serve.config import LimitSettings
from serve.errors import ApiError, bad

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Nothing = Annotated[str, msgspec.Meta(max_length=0)] | None
NoneOfThem = Annotated[list[Any], msgspec.Meta(max_length=0)] | None
"""What clients send along while it is empty."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class TextPart(_Strict, frozen=True, tag_field="type", tag="text"):
    """Words."""

    text: str


class ImageUrl(_Strict, frozen=True):
    """A picture: `data:image/...;base64,...` or `https://`."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(_Strict, frozen=True, tag_field="type", tag="image_url"):
    """A picture among the words."""

    image_url: ImageUrl


class VideoUrl(_Strict, frozen=True):
    """A video: `data:video/mp4;base64,...`, `https://`, or frames as `data:video/jpeg;base64,FRAME,FRAME,...`."""

    url: str
    fps: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None
    """Of frames that the client took: how many a second."""


class VideoPart(_Strict, frozen=True, tag_field="type", tag="video_url"):
    """A video among the words."""

    video_url: VideoUrl


Part = TextPart | ImagePart | VideoPart


class Message(_Strict, frozen=True):
    """One turn. The fields from `refusal` on are what clients send back of an earlier answer: accepted while empty."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[Part], msgspec.Meta(min_length=1)]
    name: Name | None = None
    refusal: Nothing = None
    annotations: NoneOfThem = None
    audio: None = None
    function_call: None = None
    reasoning: Nothing = None
    tool_calls: NoneOfThem = None


class StreamOptions(_Strict, frozen=True):
    """Whether the last event of a stream counts tokens."""

    include_usage: bool = False


class JsonSchema(_Strict, frozen=True):
    """OpenAI's wrapper of a schema."""

    name: Name
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(_Strict, frozen=True):
    """Free text, any JSON object, or one that follows a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Tokens = Annotated[int, msgspec.Meta(ge=1)]
Stop = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class ChatRequest(_Strict, frozen=True):
    """What `/v1/chat/completions` accepts. Anything else is refused: an unknown wish is not silently dropped."""

    model: Name
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=-1, le=1000)] | None = None
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, msgspec.Meta(gt=0, le=2)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    ignore_eos: bool | None = None
    """Go on to `max_tokens`: measurements need answers of one length."""
    stop: Stop | Annotated[list[Stop], msgspec.Meta(max_length=16)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None


_DECODER = msgspec.json.Decoder(ChatRequest)


def read_request(body: bytes, limits: LimitSettings) -> ChatRequest:
    """The checked request.

    Raises:
        ApiError: 400, naming the field that is wrong.
    """
    try:
        request = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        path = where.strip("`").removeprefix("$").lstrip(".") or None
        raise bad(f"{f'{path}: ' if path else ''}{what[:300]}.", path) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        words = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise bad(f"The body is not valid JSON: {words}.") from error
    _check(request, limits)
    return request


def _check(request: ChatRequest, limits: LimitSettings) -> None:
    if len(request.messages) > limits.messages:
        raise bad(f"A request may have at most {limits.messages} messages.", "messages")
    parts = [p for m in request.messages if not isinstance(m.content, str) for p in m.content]
    if len(parts) > limits.parts:
        raise bad(f"A request may have at most {limits.parts} content parts.", "messages")
    texts = [m.content for m in request.messages if isinstance(m.content, str)]
    texts += [p.text for p in parts if isinstance(p, TextPart)]
    if sum(map(len, texts)) > limits.text_chars:
        raise bad(f"The messages may have at most {limits.text_chars} characters of text.", "messages")
    for number, message in enumerate(request.messages):
        media = not isinstance(message.content, str) and any(not isinstance(p, TextPart) for p in message.content)
        if media and message.role != "user":
            raise bad(
                f"Only a user's message may hold pictures and videos, not the {message.role}'s.", f"messages[{number}]"
            )
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise bad("Give either max_tokens or max_completion_tokens.", "max_tokens")
    for name in ("max_tokens", "max_completion_tokens"):
        if (getattr(request, name) or 0) > limits.max_tokens:
            raise bad(f"{name} may be at most {limits.max_tokens} on this server.", name)
    if (request.n or 1) > limits.choices:
        raise bad(f"n may be at most {limits.choices} on this server.", "n")
    if request.n is not None and request.n > 1 and request.temperature == 0:
        raise bad("n greater than 1 needs a temperature above 0: the answers would all be the same.", "n")
    if request.stream_options is not None and not request.stream:
        raise bad("stream_options needs stream to be true.", "stream_options")
    if request.top_logprobs is not None and not request.logprobs:
        raise bad("top_logprobs needs logprobs to be true.", "top_logprobs")
    if request.response_format is not None:
        _check_format(request.response_format, limits)


def _check_format(wanted: ResponseFormat, limits: LimitSettings) -> None:
    if (wanted.type == "json_schema") != (wanted.json_schema is not None):
        raise bad("response_format.json_schema belongs to response_format.type json_schema.", "response_format")
    if wanted.json_schema is None:
        return
    try:
        if len(msgspec.json.encode(wanted.json_schema.schema)) > limits.schema_chars:
            raise bad(f"The schema may have at most {limits.schema_chars} characters.", "response_format")
        _check_schema(wanted.json_schema.schema)
    except RecursionError as error:
        raise bad("The schema is nested too deeply.", "response_format") from error


def _check_schema(node: Any) -> None:
    """Refuse what makes a small schema a large automaton: the engine builds it while all other requests wait."""
    if isinstance(node, list):
        for item in node:
            _check_schema(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        # a property may be called "pattern" or "maxLength": then its value is a schema
        if (key == "pattern" and isinstance(value, str)) or key == "patternProperties":
            raise bad(f"Schemas with {key} are not served.", "response_format")
        bounds = key in ("minLength", "maxLength", "minItems", "maxItems") and not isinstance(value, dict)
        if bounds and not (isinstance(value, int) and 0 <= value <= 65_536):
            raise bad(f"{key} in a schema must lie between 0 and 65536.", "response_format")
        _check_schema(value)


def known_model(request: ChatRequest, names: tuple[str, ...]) -> None:
    """Refuse a name that is not served.

    Raises:
        ApiError: 404, naming what there is.
    """
    if request.model not in names:
        there = ", ".join(names)
        raise ApiError(404, f"There is no model '{request.model[:100]}' here; there is {there}.", code="model_not_found",
                       param="model")  # fmt: skip


def for_engine(request: ChatRequest, messages: list[dict[str, Any]], media_fps: float | None) -> dict[str, Any]:
    """The request as vLLM's chat class takes it, with `messages` whose media are plain."""
    names = (n for n in request.__struct_fields__ if n not in ("messages", "user"))
    body: dict[str, Any] = {n: v for n in names if (v := getattr(request, n)) is not None}
    body = {**msgspec.to_builtins(body), "messages": messages}
    if media_fps is not None:
        body["media_io_kwargs"] = {"video": {"fps": media_fps, "num_frames": -1}}
    return body
