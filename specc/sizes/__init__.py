"""Exact sizes that may be unknown, and the conditions under which they agree."""
