"""An answer's text -> a verdict."""
