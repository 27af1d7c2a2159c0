"""The merge formula, and the one spelling of alpha.

theta(alpha) = alpha * base + (1 - alpha) * distilled (V2 blog, 2. Merging): alpha 1 is the base, alpha 0 the distilled
model. The published curve's endpoints agree with the published table that way round (89.8 at 0, 88.9 at 1).

Of several distilled models (a model soup, arXiv 2203.05482): the sum of share * model over the base and all of them.
"""

from collections.abc import Sequence

MILLION = 10**6  # shares are written with six decimals at most

SOUP = "soup="  # before the shares of such an average, in its name

Shares = tuple[float, ...]  # of the base, then of each distilled model; their sum is 1


def of_alpha(alpha: float) -> Shares:
    """The shares of base and distilled model."""
    return alpha, 1 - alpha


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


def spelled_shares(shares: Sequence[float]) -> str:
    """As `spelled`: 0.50_0.25_0.25. Raises ValueError, also where the sum is not 1."""
    for share in shares:
        if not 0 <= share <= 1:
            raise ValueError(f"{shown(shares)}: a share must lie in [0, 1], not {share:g}")
        if round(share, 6) != share:
            raise ValueError(f"{shown(shares)}: {share!r} has more than six decimals")
    if sum(round(share * MILLION) for share in shares) != MILLION:
        raise ValueError(f"{shown(shares)}: shares sum to 1, these to {sum(shares):g}")
    return "_".join(map(spelled, shares))


def shown(shares: Sequence[float]) -> str:
    """As a recipe writes them: [0.5, 0.25, 0.25]."""
    return f"[{', '.join(f'{share:g}' for share in shares)}]"
