"""`python -m settings`: docs/configuration.md on standard output."""

from settings.documentation import page

print(page(), end="")
