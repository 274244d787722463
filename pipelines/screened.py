"""The screen's verdict as a manifest that `curate` accepts."""

import contextlib
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.dataset import rows
from pipelines.schema import Status
from pipelines.store import Store


def write_accepted(out: str) -> int:
    """Write `OUT/accepted.parquet`: id, address and domain of every accepted video; returns how many.

    The address and the manifest's further columns are those last asked for: a row keeps what it was screened with.
    """
    store = Store(out)
    asked = {row["video_id"]: row for row in store.manifest()}  # in order of the attempts: the last one stays
    found = [v for v in rows(store.out, ("status", "domain", "domain_share")) if v.status is Status.OK]
    accepted = sorted(found, key=lambda v: v.video_id)
    # NaN is how tables spell that there is no number
    extras = [json.loads(asked[v.video_id]["extra"], parse_constant=lambda word: None) for v in accepted]
    columns = {
        "video_id": pa.array([v.video_id for v in accepted], pa.string()),
        "uri": pa.array([asked[v.video_id]["uri"] for v in accepted], pa.string()),
        "screened_domain": pa.array([str(v.domain) for v in accepted], pa.string()),
        "screened_share": pa.array([v.domain_share for v in accepted], pa.float64()),
    }
    for name in sorted({name for extra in extras for name in extra} - columns.keys()):
        columns[name] = _column([extra.get(name) for extra in extras])
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    store.write(buffer.getvalue(), "accepted.parquet")
    return len(accepted)


def _column(values: list[Any]) -> pa.Array:
    """Typed where one type holds them all, else text: JSON knows no columns."""
    with contextlib.suppress(pa.ArrowException, ValueError, OverflowError):  # of several types, or half a character
        column = pa.array(values)
        if column.to_pylist() == values:  # one structure for all would give each the others' keys
            return column
    return pa.array([None if v is None else _text(v) for v in values], pa.string())


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()
