"""`srcli weights show FILE`: what a file of parameters is."""

import json
import math
from pathlib import Path
from typing import cast

import click

from srcli.cli.weights_output import print_lines
from srcli.errors import WeightsError
from srcli.extras import COMMUNITY_HINT, spandrel_is_here
from srcli.weights.checkpoint import Checkpoint, open_checkpoint
from srcli.weights.identify import closest, match_parameters
from srcli.weights.manifest_file import COMMUNITY
from srcli.weights.recognise import Recognised, recognise

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
    community = None if matches else _of_community(checkpoint)
    if community is not None:
        facts |= {
            "networks": [f"{community.architecture} (spandrel)"],
            "scale": community.scale,
            "names": "of its trainer",
        }
    elif matches:
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
            "network": " or ".join(cast("list[str]", facts["networks"])) or "not recognised",
            "scale": f"x{facts['scale']}" if facts["scale"] else "",
            "closest": str(facts["closest"]),
            "names": str(facts["names"]),
            "tensors": str(facts["tensors"]),
            "parameters": f"{facts['parameters']:,}",
            "type": ", ".join(checkpoint.dtypes),
            "to use it": f"srcli weights import {path}" if facts["scale"] else _hint(),
        }
    )


def _of_community(checkpoint: Checkpoint) -> Recognised | None:
    """The network that spandrel takes a file for; None if it knows none, or is not here."""
    if not spandrel_is_here():
        return None
    try:
        return recognise(checkpoint, COMMUNITY)
    except WeightsError:
        return None


def _hint() -> str:
    return "" if spandrel_is_here() else COMMUNITY_HINT
