"""Check the types of what people pass to `Upscaler`, so that a wrong one is named."""

from srcli.errors import UsageError

__all__ = ["require_types"]


def require_types(
    model: object, scale: object, precision: object, effort: object, tile: object
) -> None:
    """Check the types of an upscaler's settings.

    Raises:
        UsageError: One is of another type.
    """
    number = isinstance(scale, int | float) and not isinstance(scale, bool)
    rules = (
        ("model", model, isinstance(model, str), "a name, such as 'adaformer'"),
        ("scale", scale, number, "a number above 1, such as 4"),
        ("precision", precision, isinstance(precision, str), "a name, such as 'auto' or 'fp32'"),
        ("effort", effort, isinstance(effort, str | int | float), "a name or a number in [0, 1]"),
        ("tile", tile, tile is None or isinstance(tile, int), "a whole number of pixels, or None"),
    )
    for name, value, right, wanted in rules:
        if not right:
            raise UsageError(f"{name} {value!r} is a {type(value).__name__}: pass {wanted}")
