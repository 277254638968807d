"""URLs on the command line of `srcli upscale`: which options do not go with them."""

from collections.abc import Iterable
from pathlib import Path

from srcli.cli.upscale_options import UpscaleOptions
from srcli.errors import UsageError
from srcli.storage import require_driver
from srcli.url_paths import UrlPath

__all__ = ["require_fitting_options"]


def require_fitting_options(options: UpscaleOptions, paths: Iterable[Path]) -> None:
    """Check that drivers for all URLs are installed, and that the options go with URLs.

    Args:
        options: All options.
        paths: Inputs, and the output if one is named.

    Raises:
        UsageError: They do not.
    """
    urls = [path for path in paths if isinstance(path, UrlPath)]
    if not urls:
        return
    clips, compare, inputs = options.clips, options.compare, options.inputs
    refused = {
        "--frames-dir": clips.frames_dir is not None,
        "--fps": clips.fps is not None,
        "--keep-times": options.output.keep_times,
        "--compare": compare.compare,
        "--open": compare.show,
        "--follow-links": inputs.follow_links,
    }
    for name, given in refused.items():
        if given:
            raise UsageError(
                f"{name} is for files of this machine, and {urls[0]} is none; hint: leave it out"
            )
    for url in {url.protocol: url for url in urls}.values():
        require_driver(url)
