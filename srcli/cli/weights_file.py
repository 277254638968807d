"""`srcli weights show FILE`: what a file of parameters is."""

import json
import math
from pathlib import Path

import click

from srcli.cli.weights_output import print_lines
from srcli.weights.checkpoint import open_checkpoint
from srcli.weights.identify import closest, match_parameters

__all__ = ["print_checkpoint"]


def print_checkpoint(path: Path, *, as_json: bool) -> None:
    """Say which network a file's parameters belong to, for which scale, how many they are."""
    checkpoint = open_checkpoint(path)
    matches = match_parameters(checkpoint.shapes, checkpoint.notes)
    facts = {
        "file": str(path),
        "kind": checkpoint.kind,
        "networks": [match.model for match in matches],
        "scale": matches[0].scale if matches else None,
        "names": "of its authors" if matches and matches[0].authors else "of srcli",
        "tensors": len(checkpoint.shapes),
        "parameters": sum(math.prod(shape) for shape in checkpoint.shapes.values()),
        "dtypes": list(checkpoint.dtypes),
        "closest": "",
    }
    if matches:
        # What the authors' file stores and srcli computes is no parameter.
        used = [checkpoint.shapes[name] for name in matches[0].names]
        facts["parameters"] = sum(math.prod(shape) for shape in used)
    else:
        near = closest(checkpoint.shapes)
        facts["names"] = "unknown"
        facts["closest"] = f"{near.model} x{near.scale}, but {near.describe()}"
        if near.stranger:
            facts["closest"] = f"none; first parameters: {near.beginning}"
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    print_lines(
        {
            "file": str(path),
            "kind": checkpoint.kind,
            "network": " or ".join(match.model for match in matches) or "not recognised",
            "scale": f"x{matches[0].scale}" if matches else "",
            "closest": str(facts["closest"]),
            "names": str(facts["names"]),
            "tensors": str(facts["tensors"]),
            "parameters": f"{facts['parameters']:,}",
            "type": ", ".join(checkpoint.dtypes),
            "to use it": f"srcli weights import {path}" if matches else "",
        }
    )
