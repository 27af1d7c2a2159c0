"""Typed values -> whether they are the same, and whether a gold accepts an answer."""
