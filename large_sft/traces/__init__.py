"""Traces -> packs of tokens."""
