"""Labels by a vision model: what is asked, what a failure is, what is kept, and that a run goes on. A server of this process
speaks OpenAI's protocol and looks at the picture that it is sent.
"""

import base64
import csv
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from actors.text_engine import KEY_VARIABLE, OpenAiEngine
from pipelines.config import TextSettings
from pipelines.errors import EnvironmentFault, UsageError
from tests.train import tiny_frames
from train import frame_labels
from train.frame_labeller import prompt_hash, read_rows, run

CLASSES = (tiny_frames.RED, tiny_frames.BLUE)


class Looker(ThreadingHTTPServer):
    """Answers by the picture's colour; the first `odd` replies are not of the form, and with `broken` all are errors."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen, self.keys, self.odd, self.broken, self.lock = [], [], [], False, threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append(request)
            self.server.keys.append(self.headers["Authorization"])
            odd = self.server.odd.pop(0) if self.server.odd else None
        text = odd or json.dumps({"label": CLASSES[0] if red(request) else CLASSES[1]})
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "eye", "choices": [choice]}
        data = json.dumps({"error": {"message": "down"}} if self.server.broken else body).encode()
        self.send_response(500 if self.server.broken else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def red(request):
    import cv2

    address = request["messages"][1]["content"][0]["image_url"]["url"]
    data = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
    return (picture[..., 2] - picture[..., 0]).sum() > 0


@pytest.fixture
def server():
    with Looker() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def engine(server, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "secret-key")
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return OpenAiEngine(TextSettings(engine="openai", model="eye", base_url=address), max_retries=0)


@pytest.fixture
def frames(tmp_path):
    for seed in range(3):
        tiny_frames.save(tmp_path / "frames" / "talk" / f"{seed}.png", tiny_frames.drawing(seed, red=True))
        tiny_frames.save(tmp_path / "frames" / f"{seed}.png", tiny_frames.drawing(100 + seed, red=False))
    return tmp_path / "frames"


def label(frames, engine, **more):
    return run([frames], frames.parent / "labels.csv", engine, CLASSES, say=lambda line: None, **more)


def test_labels_are_kept_with_their_source_and_learned_from(server, engine, frames):
    assert label(frames, engine) == {CLASSES[0]: 3, CLASSES[1]: 3}
    rows = {r.path: r for r in read_rows(frames.parent / "labels.csv")}
    assert rows["frames/talk/0.png"].label == CLASSES[0]
    assert rows["frames/talk/0.png"].group == "talk"
    assert rows["frames/0.png"].group == "frames/0.png"
    assert {(r.model, r.prompt) for r in rows.values()} == {("eye", f"frame_label@1-{prompt_hash(CLASSES)}")}
    asked = server.seen[0]
    assert asked["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"] == list(CLASSES)
    assert "histopathology: cells" in asked["messages"][1]["content"][1]["text"]
    assert asked["temperature"] == 0
    assert set(server.keys) == {"Bearer secret-key"}
    found = frame_labels.csv_labels(frames.parent / "labels.csv")
    assert {(r.label, Path(r.path).parent) for r in found} == {(CLASSES[0], frames / "talk"), (CLASSES[1], frames)}


def test_a_run_goes_on_and_keeps_what_a_person_wrote(server, engine, frames):
    label(frames, engine)
    file = frames.parent / "labels.csv"
    with file.open(newline="") as stream:
        table = list(csv.DictReader(stream))
    table[0]["label"], table[1]["label"] = CLASSES[1], ""
    with file.open("w", newline="") as stream:  # as an editor of tables leaves it
        writer = csv.DictWriter(stream, ["path", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    server.seen.clear()
    label(frames, engine)
    assert len(server.seen) == 1
    after = {r.path: r.label for r in read_rows(file)}
    assert after[table[0]["path"]] == CLASSES[1]
    assert after[table[1]["path"]]
    assert len(after) == 6


def test_a_persons_group_and_columns_stay(server, engine, frames):
    label(frames, engine)
    file = frames.parent / "labels.csv"
    with file.open(newline="") as stream:
        table = [{"notes": "sure"} | row for row in csv.DictReader(stream)]
    table[1] |= {"label": "", "group": "patient7", "notes": "look again"}
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    label(frames, engine)
    after = {row.path: row for row in read_rows(file)}[table[1]["path"]]
    assert after.label
    assert (after.group, after.more) == ("patient7", {"notes": "look again"})
    assert read_rows(file)[0].more == {"notes": "sure"}


def test_what_is_not_of_the_form_is_asked_again_and_then_no_label(server, engine, frames):
    for path in sorted(frames.rglob("*.png"))[1:]:
        path.unlink()
    server.odd = ["It is tissue.", '{"label": "cats"}']
    assert label(frames, engine) == {CLASSES[1]: 1}
    assert [r["seed"] for r in server.seen] == [0, 1, 2]
    (frames.parent / "labels.csv").unlink()
    server.odd = ["no"] * 3
    assert label(frames, engine) == {"malformed": 1}
    (row,) = read_rows(frames.parent / "labels.csv")
    assert (row.label, row.failure) == ("", "malformed")
    found, left_out = frame_labels.read([frames.parent / "labels.csv"])
    assert (found, left_out) == ([], {"without a label": 1})
    assert label(frames, engine) == {CLASSES[1]: 1}  # the next run asks again


def test_a_picture_that_cannot_be_read_is_not_asked_about(server, engine, frames):
    (frames / "broken.png").write_bytes(b"no picture")
    assert label(frames, engine)["unreadable"] == 1
    assert len(server.seen) == 6


def test_a_broken_server_stops_the_run_and_labels_so_far_stay(server, engine, frames, monkeypatch):
    from train import frame_labeller

    monkeypatch.setattr(frame_labeller, "CONCURRENT_REQUESTS", 2)

    def say(line):
        server.broken = line.startswith("4")

    with pytest.raises(EnvironmentFault, match="text server fails"):
        run([frames], frames.parent / "labels.csv", engine, CLASSES, say=say)
    assert sum(bool(r.label) for r in read_rows(frames.parent / "labels.csv")) == 4


def test_wrong_requests_are_named(engine, frames, tmp_path):
    with pytest.raises(UsageError, match="must name domains"):
        run([frames], tmp_path / "labels.csv", engine, ("cats", "nonmedical"))
    with pytest.raises(UsageError, match="no pictures"):
        run([tmp_path / "none"], tmp_path / "labels.csv", engine, CLASSES)
    (tmp_path / "labels.csv").write_text("path,label\nframes/0.png,ct\n")
    with pytest.raises(UsageError, match="'ct', which is none of the classes"):
        run([frames], tmp_path / "labels.csv", engine, CLASSES)
