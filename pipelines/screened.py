"""The screen's verdict as a manifest that `curate` accepts."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.dataset import rows
from pipelines.schema import Status
from pipelines.store import Store


def write_accepted(out: str) -> int:
    """Write `OUT/accepted.parquet`: id, address and domain of every accepted video; returns how many."""
    store = Store(out)
    accepted: list[dict[str, Any]] = [
        {"video_id": v.video_id, "uri": v.uri, "screened_domain": str(v.domain), "screened_share": v.domain_share}
        for v in rows(store.out)
        if v.status is Status.OK
    ]
    schema = pa.schema({"video_id": pa.string(), "uri": pa.string(), "screened_domain": pa.string(),
                        "screened_share": pa.float64()})  # fmt: skip
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(sorted(accepted, key=lambda r: r["video_id"]), schema), buffer)
    store.write(buffer.getvalue(), "accepted.parquet")
    return len(accepted)
