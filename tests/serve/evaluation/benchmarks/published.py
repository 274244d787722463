"""Small files in the benchmarks' published formats."""

import io
import json
from pathlib import Path

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

from serve.evaluation.benchmarks import catalog
from serve.evaluation.config import Settings

SURGERY = {"id": "u1", "video_id": "YXAGt6GtFwE", "video_url": "https://x", "video": "YXAGt6GtFwE_379_440.mp4",
           "timestamp": [379.0, 440.0], "question": "What was removed?", "answer": "Fat."}  # fmt: skip


def load(name, data, **settings):
    return catalog.questions(*catalog.find(name, data), Settings(**settings))


def picture(grey=90):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), (grey, grey, grey)).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(r) for r in content) + "\n")
    else:
        path.write_text(json.dumps(content))
    return path


def parquet(path: Path, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    return path
