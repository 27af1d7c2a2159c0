"""The merge formula, and the one spelling of alpha.

theta(alpha) = alpha * base + (1 - alpha) * distilled (V2 blog, 2. Merging): alpha 1 is the base, alpha 0 the distilled
model. The published curve's endpoints agree with the published table that way round (89.8 at 0, 88.9 at 1).
"""


def spelled(alpha: float) -> str:
    """The one way to write an alpha in paths, names and tables: two decimals, more only where needed: 0.30, 0.375.

    Raises ValueError outside [0, 1] and for values with more than six decimals.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], not {alpha}")
    text = f"{alpha:.6f}".rstrip("0")
    if float(text) != alpha:
        raise ValueError(f"alpha {alpha!r} has more than six decimals")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"
