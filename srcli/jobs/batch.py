"""Runs a batch: every job ends as exactly one of done, skipped or failed, with a reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from srcli.errors import InputError, SrcliError
from srcli.inference.streaming import stream
from srcli.inference.upscaler import Report, Upscaler
from srcli.jobs.plan import Job
from srcli.media import Picture, format_of_name, read_picture, representable, write_picture

__all__ = ["Done", "Failed", "Limits", "Result", "Skipped", "run_batch"]
