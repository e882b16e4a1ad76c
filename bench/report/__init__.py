"""The report of one run: what was measured, as text and as JSON."""
