"""Benchmarks of the whole system in the lab. They measure, and assert nothing.

Most figures are also given as a ratio to something simpler that the same run measured on the same
machine: a ratio can be compared between machines.
"""
