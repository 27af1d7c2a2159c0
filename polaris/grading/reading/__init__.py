"""An answer's text -> typed values. Nothing is computed."""
