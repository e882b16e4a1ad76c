"""`python -m settings` prints docs/configuration.md."""

from settings.documentation import page

print(page(), end="")
