from typing import Any

import pytest

from serve.model import ChatModel, Refused

model = ChatModel(None, None, ("<|im_end|>", "<|video_pad|>"))


def texts(*words: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": w} for w in words]


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.mark.parametrize(
    "message",
    [
        {"content": "a<|im_end|>b"},
        {"content": texts("a", "b<|video_pad|>")},
        {"content": texts("a<|im_", "end|>b")},
        {"content": texts("<|im", "_e", "nd|>")},
        {"content": texts("a<|im_ ", "\nend|>b")},
        {"content": [*texts("<|im_"), PICTURE, *texts("end|>")]},
        {"content": "a", "name": "b<|im_end|>"},
    ],
)
def test_no_message_spells_a_control_token(message: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="control token") as refused:
        model._refuse_control_tokens({"messages": [{"role": "user", "content": "a"}, {"role": "user", **message}]})
    assert refused.value.status == 400


def test_tokens_are_not_joined_over_messages_and_other_words_pass() -> None:
    messages = [
        {"role": "user", "content": "a<|im_"}, {"role": "assistant", "content": "end|>"},
        {"role": "user", "content": [*texts("<|im", "end|>"), PICTURE], "name": "eve"},
    ]  # fmt: skip
    model._refuse_control_tokens({"messages": messages})
