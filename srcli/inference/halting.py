"""Resolve `--effort` and `--halt-eps` for a network."""

from dataclasses import replace

from srcli.errors import UsageError
from srcli.models.spec import Halting, ModelSpec

__all__ = ["resolve_halting"]


def resolve_halting(spec: ModelSpec, effort: str | float) -> Halting:
    """Resolve an effort or ε to the halting rule of a network.

    Args:
        spec: The network.
        effort: One of its efforts by name, of which "balanced", the default, is "exact" for a
            network in which nothing halts; or ε in [0, 1]: tokens halt once they are restored to
            1 - ε (AdaFormer, Eqs. 19 and 22).

    Raises:
        UsageError: It has no such effort, or no ε.
    """
    if effort == "balanced" and list(spec.efforts) == ["exact"]:
        return spec.efforts["exact"]
    if isinstance(effort, str):
        if effort not in spec.efforts:
            have = ", ".join(spec.efforts)
            raise UsageError(f"{spec.name} has no effort {effort!r} (have {have})")
        return spec.efforts[effort]
    if not 0 <= effort <= 1:
        raise UsageError(f"halting eps {effort:g} is out of range; hint: use 0 to 1")
    if all(halting.eps is None for halting in spec.efforts.values()):
        raise UsageError(f"{spec.name} halts nothing: it has no eps to set")
    return replace(spec.efforts["balanced"], eps=effort)
