from types import SimpleNamespace

import numpy as np

from actors.requests import AudioWindow
from actors.transcriber import Transcriber
from pipelines import recipes


class Whisper:
    """Names a language whatever it hears, and hears words where the sound is loud."""

    def transcribe(self, audio, *, language, **_):
        word = SimpleNamespace(start=0.0, end=0.5, word="Leber", probability=0.9)
        found = SimpleNamespace(words=[word], compression_ratio=1.0, no_speech_prob=0.0, avg_logprob=-0.1)
        loud = np.abs(audio).max() > 0.1
        return iter([found] if loud else []), SimpleNamespace(language=language or ("de" if loud else "nn"))


def test_a_window_without_words_decides_no_language():
    transcriber = Transcriber.__new__(Transcriber)
    transcriber._settings, transcriber._model = recipes.recipe("starter").transcript, Whisper()
    silent, loud = (AudioWindow(start_s=s, pcm=(np.full(1600, v, np.int16)).tobytes()) for s, v in ((0, 0), (30, 9000)))
    assert transcriber._transcribe(silent, None, 0) == (None, [])
    language, segments = transcriber._transcribe(loud, None, 0)
    assert (language, segments[0].words[0].start_s) == ("de", 30.0)
    assert transcriber._transcribe(silent, "en", 0)[0] == "en"
