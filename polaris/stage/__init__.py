"""Runs a stage: contract, manifest, code digest, tables, children, nodes, progress; imports nothing else of ours."""
