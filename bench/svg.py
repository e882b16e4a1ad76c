"""SVG elements as text, and the colours of a drawing that reads well on white and on black."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

STYLE = """
  :root { --surface: #ffffff; --text: #1f2328; --muted: #59636e; --grid: #d1d9e0;
          --ours: #0969da; --reference: #818b98; --over: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    :root { --surface: #0d1117; --text: #f0f6fc; --muted: #9198a1; --grid: #3d444d;
            --ours: #4493f8; --reference: #9198a1; --over: #f0883e; }
  }
  text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--text); }
  .title { font-size: 20px; font-weight: 600; }
  .heading { font-size: 15px; font-weight: 600; }
  .muted { fill: var(--muted); font-size: 12px; }
  .surface { fill: var(--surface); }
  .grid { stroke: var(--grid); }
  .ours { fill: var(--ours); }
  .reference { fill: var(--reference); }
  .over { fill: var(--over); }
"""


def element(name: str, *children: str, **attributes: str | float) -> str:
    """One element; children are SVG already, `class_` and `text_anchor` become attributes."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(_plain(value))}"
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(children)}</{name}>"


def words(text: str, *, x: float, y: float, **attributes: str | float) -> str:
    """A line of text, its baseline at y."""
    return element("text", escape(text), x=x, y=y, **attributes)


def document(*children: str, width: float, height: float, title: str) -> str:
    """A whole file."""
    body = "\n".join(
        (
            element("title", escape(title)),
            f"<style>{STYLE}</style>",
            element("rect", width=width, height=height, class_="surface"),
            *children,
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_plain(width)}" '
        f'height="{_plain(height)}" viewBox="0 0 {_plain(width)} {_plain(height)}" role="img">\n'
        f"{body}\n</svg>\n"
    )


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
