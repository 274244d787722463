"""Arrow schemas derived from the row dataclasses: no column is named twice."""

import dataclasses
import functools
import types
import typing
from enum import StrEnum
from typing import Any, TypeVar, Union

import msgspec
import pyarrow as pa

from pipelines.schema import SCHEMA_VERSION

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
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        (inner,) = [a for a in args if a is not type(None)]
        return arrow_type(inner)
    if origin is tuple:
        return pa.list_(arrow_type(args[0]))
    if dataclasses.is_dataclass(annotation):
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


def one_row(row: pa.RecordBatch | pa.Table, into: type[_Row]) -> _Row:
    """The row dataclass of a table of one row, its lists converted entry by entry: as dictionaries, the traces of two hours
    would fill 50 MB.

    Raises:
        msgspec.ValidationError: it does not fit.
    """
    hints, values = _hints(typing.cast(type, into)), {}
    for name in row.column_names:
        (value,), kinds = row.column(name), typing.get_args(hints.get(name))
        if kinds and value.is_valid and pa.types.is_list(value.type) and pa.types.is_struct(value.type.value_type):
            values[name] = tuple(msgspec.convert(entry.as_py(), kinds[0]) for entry in value)
        else:
            values[name] = value.as_py()
    return msgspec.convert(values, into)
