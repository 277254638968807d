"""The networks: one file each, found by its `SPEC`, or `SPECS` where it has several sizes."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from srcli.errors import UnknownModel
from srcli.models.spec import ModelSpec

__all__ = ["model_names", "model_spec"]

_NO_NETWORKS = (
    "spec", "traces", "adaformer_config", "adaformer_stacks",
    "community",  # files bring them
)  # fmt: skip


@cache
def _registry() -> dict[str, ModelSpec]:
    files = (m.name for m in iter_modules(__path__) if not m.ispkg and m.name not in _NO_NETWORKS)
    specs: list[ModelSpec] = []
    for name in files:
        module = import_module(f"{__name__}.{name}")
        specs += module.SPECS if hasattr(module, "SPECS") else (module.SPEC,)
    return {spec.name: spec for spec in sorted(specs, key=lambda spec: spec.name)}


def model_names() -> tuple[str, ...]:
    """The names of all networks, sorted."""
    return tuple(_registry())


def model_spec(name: str) -> ModelSpec:
    """The registry's entry for a network.

    Raises:
        UnknownModel: No network has that name.
    """
    if name not in _registry():
        raise UnknownModel(f"no model named {name!r} (have {', '.join(model_names())})")
    return _registry()[name]
