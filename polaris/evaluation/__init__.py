"""Verdicts -> numbers: scores, differences, claims."""
