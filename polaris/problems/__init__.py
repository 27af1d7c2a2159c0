"""A file or a hub id -> clean problems; the made-up families."""
