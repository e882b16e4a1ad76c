"""Renders the templates in `cloud-config/` and `units/`.

An undefined variable is an error, never an empty string.
"""

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).parents[2]


def render(template: str, **values: object) -> str:
    """Renders the template at a path of the project, such as `units/router.service`."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> Environment:
    """One environment for all, because it caches compiled templates for hundreds of units."""
    return Environment(
        loader=FileSystemLoader(ROOT),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # units and YAML are not HTML
    )
