"""Draws SVG and small pages; knows no results."""
