"""The outputs that networks must reproduce, through the tool that made them."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from tests.load_program import load_program


def largest_difference(
    module: nn.Module,
    golden: Path,
    from_authors: Callable[[str], str | None],
    run: Callable[[Tensor], Tensor],
) -> float:
    """Fill a network with numbers made from its authors' names, and compare all outputs.

    Fails where a parameter has no numbers, or numbers no parameter.
    """
    tools = load_program(golden.parent / "tools.py")
    return tools.compare(module, golden, from_authors, tolerance=float("inf"), run=run)
