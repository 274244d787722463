"""Arrow schemas derived from the row dataclasses: no column is named twice. Rows become tables, and come back, by column."""

import dataclasses
import functools
import itertools
import types
import typing
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar, Union

import msgspec
import pyarrow as pa

from pipelines.schema import SCHEMA_VERSION
from pipelines.traces import Trace, TracePoint

_Row = TypeVar("_Row")
_SCALARS: dict[type, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}


def arrow_type(annotation: Any) -> pa.DataType:
    """The Arrow type of a field annotation: scalars, enums, `X | None`, `tuple[X, ...]` and nested dataclasses."""
    annotation = _present(annotation)
    entry = _entry(annotation)
    if entry is not None:
        return pa.list_(arrow_type(entry))
    if _is_row(annotation):
        return pa.struct(list(arrow_schema(typing.cast(type, annotation))))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return pa.string()
    return _SCALARS[annotation]


@functools.cache
def _hints(row: Any) -> dict[str, Any]:
    return typing.get_type_hints(row)


def arrow_schema(row: type) -> pa.Schema:
    """The Arrow schema of a row dataclass, in field order, with the schema version in its metadata."""
    hints = _hints(row)
    fields = [pa.field(f.name, arrow_type(hints[f.name])) for f in dataclasses.fields(row)]
    return pa.schema(fields, metadata={"preceptor_schema": str(SCHEMA_VERSION)})


def _present(annotation: Any) -> Any:
    """`X` of `X | None`, anything else as it is."""
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    (inner,) = [a for a in typing.get_args(annotation) if a is not type(None)]
    return inner


def _is_row(annotation: Any) -> bool:
    return dataclasses.is_dataclass(annotation)


def _entry(annotation: Any) -> Any:
    """The annotation of a list's entries; None where it is no list."""
    if annotation is Trace:
        return TracePoint
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is tuple else None


def arrow_table(rows: Sequence[Any], row: type, schema: pa.Schema | None = None) -> pa.Table:
    """Instances of a row dataclass as a table of its schema, or of one that names and orders the same columns."""
    return pa.Table.from_arrays(arrow_array(rows, row).flatten(), schema=schema or arrow_schema(row))


def arrow_array(values: Sequence[Any], annotation: Any) -> pa.Array:
    """Values of one annotation, column by column: as dictionaries, the traces of two hours would fill 50 MB."""
    annotation = _present(annotation)
    entry = _entry(annotation)
    missing = pa.array([v is None for v in values], pa.bool_())
    if entry is not None:
        offsets = pa.array(itertools.accumulate((len(v or ()) for v in values), initial=0), pa.int32())
        if annotation is Trace:
            entries = pa.concat_arrays([Trace().to_arrow(), *(v.to_arrow() for v in values if v)])
        else:
            entries = arrow_array([e for v in values for e in v or ()], entry)
        return pa.ListArray.from_arrays(offsets, entries, mask=missing)
    if _is_row(annotation):
        hints = _hints(annotation)
        columns = [
            arrow_array([None if v is None else getattr(v, f.name) for v in values], hints[f.name])
            for f in dataclasses.fields(annotation)
        ]
        return pa.StructArray.from_arrays(columns, fields=list(arrow_schema(annotation)), mask=missing)
    return pa.array(values, arrow_type(annotation))


def one_row(row: pa.RecordBatch | pa.Table, into: type[_Row]) -> _Row:
    """The row dataclass of a table of one row, its lists converted entry by entry.

    Raises:
        msgspec.ValidationError: it does not fit.
    """
    hints, values = _hints(typing.cast(type, into)), {}
    for name in row.column_names:
        (value,), entry = row.column(name), _entry(hints.get(name))
        if _is_row(entry) and value.is_valid:
            values[name] = tuple(msgspec.convert(_plain(e, entry), entry) for e in value)
        else:
            values[name] = value.as_py()
    return msgspec.convert(values, into)


def _plain(value: pa.Scalar, annotation: Any) -> Any:
    """What msgspec checks: dictionaries and lists, but traces as they are."""
    if annotation is Trace and value.is_valid:
        try:
            return Trace.from_arrow(value.values)
        except ValueError as error:
            raise msgspec.ValidationError(str(error)) from error
    if _is_row(annotation) and value.is_valid:
        hints = _hints(annotation)
        return {name: _plain(value[name], hints.get(name)) for name in value.type.names}
    return value.as_py()
