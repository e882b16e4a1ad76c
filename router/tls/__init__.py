"""Certificates: fetched, checked, laid out for nginx."""
