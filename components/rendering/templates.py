"""Whole files with gaps: how the templates of `cloud-config/` and `units/` are filled in.

A gap that nobody fills is an error, never an empty string.
"""

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).parents[2]


def render(template: str, **values: object) -> str:
    """The template at a path of the project, such as `units/router.service`, filled in."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> Environment:
    """One for all: it keeps compiled templates, and there are hundreds of units."""
    return Environment(
        loader=FileSystemLoader(ROOT),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # units and YAML are no HTML
    )
