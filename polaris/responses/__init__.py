"""Stored responses as pages: of an evaluation, of two models side by side, of the traces."""
