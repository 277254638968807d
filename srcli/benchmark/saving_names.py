"""Names of the savings that a measurement can switch off. Light to import."""

from collections.abc import Sequence

from srcli.errors import UsageError

__all__ = ["SAVINGS", "check_savings"]

SAVINGS = ("flat-areas", "local-mask", "global-mask", "smooth-windows", "pure-pixels")
"""Flat areas that are copied, windows that halt in the local branch, tokens that halt in the global
branch, smooth windows that are computed a short way, and pixels exempt from category
attention."""


def check_savings(names: Sequence[str]) -> None:
    """Refuse names that are no saving's.

    Raises:
        UsageError: One of them is not, or there is none.
    """
    unknown = [name for name in names if name not in SAVINGS]
    if unknown or not names:
        named = f"named {', '.join(map(repr, unknown))}" if unknown else "to switch off"
        raise UsageError(
            f"no saving {named} (have {', '.join(SAVINGS)}); hint: --without {SAVINGS[0]}"
        )
