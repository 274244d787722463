import pytest

from actors import writer
from actors.text_engine import Key
from pipelines.errors import UsageError
from pipelines.recipes import starter


def test_a_wrong_key_is_found_before_any_row(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def __init__(self, *_: object, **__: object) -> None: ...

        def check(self) -> None:
            raise UsageError("the key was refused")

    monkeypatch.setattr(writer, "Rewriter", Refused)
    with pytest.raises(UsageError, match="refused"):
        writer.Writer(starter(), threads=1, admission="nowhere", key=Key(""))
