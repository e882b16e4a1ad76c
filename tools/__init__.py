"""Builds what the project needs and no package manager brings: pinned programs and images.

Everything is kept in a cache keyed by content, so a second run does nothing. Only Python's
standard library is used here: this runs before the virtual environment exists.
"""
