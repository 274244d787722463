"""The dataset card of an export, as Markdown."""

import jinja2

from pipelines import dataset
from pipelines.audit import text_quality
from pipelines.schema import SCHEMA_VERSION, Status

_READ = ("status", "classifier", "transcriber", "clips")


def card(out: str) -> str:
    """The dataset card: what the clips are, how they were made, how far they can be trusted."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines", "templates"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    return environment.get_template("card.md.j2").render(
        made_by=dataset.settings(out),
        funnel=dataset.funnel(out),
        texts=text_quality(v for v in dataset.rows(out, _READ) if v.status is Status.OK),
        schema_version=SCHEMA_VERSION,
    )


def _code(text: object) -> str:
    """`text` as Markdown code that cannot end its cell, its line or its backticks."""
    return "`" + " ".join(str(text).replace("`", "'").replace("|", "/").split()) + "`"
