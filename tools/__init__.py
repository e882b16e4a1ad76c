"""Builds what the project needs and no package manager has: pinned programs and images.

Everything is kept in a cache by its content, so a second run does nothing. These modules need only
Python's standard library.
"""
