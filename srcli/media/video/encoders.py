"""The encoders that there are, and how each is spoken to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache

import numpy as np
from av.codec import Codec, CodecContext
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from srcli.errors import UnavailableDevice, UsageError
from srcli.media.video.container import reason_of

__all__ = [
    "Family",
    "device_of",
    "find_encoder",
    "hardware_encoders",
    "preset_options",
    "quality_options",
    "repeatable_options",
    "sample_formats",
    "try_device",
]


@dataclass(frozen=True)
class Family:
    """Option names of one kind of encoders.

    Args:
        quality: The options that `--crf` sets, all to the same; none if it has no such thing.
        default: What `--crf` is when nobody says.
        highest: Its largest value.
        presets: What `--preset` may be; empty if it has none.
        always: Options that are always set.
        wide: Formats with finer chroma or alpha are kept, not only depth.
        step: What one of `--crf` is in those options.
        backwards: More is better in those options; `--crf` counts down from the largest.
        preset_option: The option that `--preset` sets.
        device: What a hardware encoder needs, in words; empty if it is none.
        encoder: FFmpeg's name of the encoder itself.
    """

    quality: tuple[str, ...]
    default: float | None
    highest: float
    presets: tuple[str, ...]
    always: dict[str, str] = field(default_factory=dict[str, str])
    wide: bool = False
    step: float = 1
    backwards: bool = False
    preset_option: str = "preset"
    device: str = ""
    encoder: str = ""


_X26X = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"),
    *("veryslow", "placebo"),
)
_NVENC = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")
_QSV = ("veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_AMF = ("speed", "balanced", "quality")
_LAMBDA = 118  # of FFmpeg's numbers for one step of a constant quality
_SOFTWARE = {
    "libx264": Family(("crf",), 18, 51, _X26X),
    "libx265": Family(("crf",), 20, 51, _X26X, {"x265-params": "log-level=none"}),
    "libsvtav1": Family(("crf",), 24, 63, tuple(map(str, range(14)))),
    "prores_ks": Family((), None, 0, (), wide=True),
    "ffv1": Family((), None, 0, (), {"level": "3", "slicecrc": "1"}, wide=True),
}
_HARDWARE = {
    "nvenc": Family(
        ("cq",), 20, 51, _NVENC, {"rc": "vbr", "b": "0"}, device="an NVIDIA GPU and its driver"
    ),
    "qsv": Family(("global_quality",), 20, 51, _QSV, device="an Intel GPU and its driver"),
    "amf": Family(
        ("qp_i", "qp_p", "qp_b"),
        *(20, 51, _AMF, {"rc": "cqp"}),
        preset_option="quality",
        device="an AMD GPU and its driver",
    ),
    "videotoolbox": Family(
        ("global_quality",),
        *(35, 100, (), {"flags": "+qscale"}),
        step=_LAMBDA,
        backwards=True,
        device="an Apple processor",
    ),
    "vaapi": Family(
        ("qp", "global_quality"), 20, 51, (), {"rc_mode": "CQP"}, device="a VA-API driver"
    ),
}
_SHORT = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "prores": "prores_ks",
    "ffv1": "ffv1",
}
_UPLOADED = ("nv12", "p010le")  # what VA-API's surfaces are filled from
_TRIED = (640, 480)  # px; some devices refuse much less


def find_encoder(name: str) -> Family:
    """The encoder that `--codec` names.

    Raises:
        UsageError: There is none, or not in this FFmpeg.
    """
    encoder = _SHORT.get(name, name)
    family = _SOFTWARE.get(encoder) or _HARDWARE.get(encoder.rpartition("_")[2])
    if family is None:
        raise UsageError(
            f"--codec {name} is not known: {', '.join(_SHORT)}, or a hardware encoder "
            "such as h264_nvenc, hevc_qsv, h264_videotoolbox"
        )
    try:
        Codec(encoder, "w")
    except ValueError:
        raise UsageError(
            f"--codec {name}: FFmpeg here is built without {encoder}; hint: take another of "
            f"{', '.join(_SHORT)}"
        ) from None
    if encoder == "av1_amf":
        return replace(family, encoder=encoder, default=80, highest=255)
    return replace(family, encoder=encoder)


def hardware_encoders() -> dict[str, str]:
    """The hardware encoders in this FFmpeg, and why each cannot be used here; "" if it can."""
    found: dict[str, str] = {}
    for kind in _HARDWARE:
        for codec in ("h264", "hevc", "av1"):
            name = f"{codec}_{kind}"
            try:
                family = find_encoder(name)
            except UsageError:
                continue
            try:
                try_device(family, name)
                found[name] = ""
            except UnavailableDevice as error:
                found[name] = str(error.__cause__)
    return found


def sample_formats(family: Family) -> list[str]:
    """The sample formats that an encoder takes from memory, by FFmpeg's names."""
    if device_of(family.encoder) is not None:
        return list(_UPLOADED)
    formats = Codec(family.encoder, "w").video_formats or []
    return [f.name for f in formats if f.components]


def device_of(encoder: str) -> HWAccel | None:
    """The device that frames have to be brought to first; None for all that do it themselves."""
    return HWAccel("vaapi") if encoder.endswith("_vaapi") else None


def quality_options(family: Family, name: str, crf: float | None) -> dict[str, str]:
    """Encoder options for `--crf`.

    Raises:
        UsageError: The encoder has no such quality.
    """
    value = family.default if crf is None else crf
    if value is None:
        return {}
    if not family.quality:
        raise UsageError(f"--codec {name} has no --crf; hint: leave it out")
    if not 0 <= value <= family.highest:
        raise UsageError(f"--crf {value:g} is out of range: {name} takes 0 to {family.highest:g}")
    said = family.highest - value if family.backwards else value
    return dict.fromkeys(family.quality, f"{said * family.step:g}")


def preset_options(family: Family, name: str, preset: str) -> dict[str, str]:
    """Encoder options for `--preset`.

    Raises:
        UsageError: The encoder has no such preset.
    """
    if not preset:
        return {}
    if preset not in family.presets:
        has = f"it has {', '.join(family.presets)}" if family.presets else "it has none"
        raise UsageError(f"--preset {preset} is not a preset of {name}: {has}")
    return {family.preset_option: preset}


def repeatable_options(name: str, options: Mapping[str, str]) -> dict[str, str]:
    """Options with which an encoder gives the same bytes for the same frames every time.

    x264's macroblock tree in AVX-512 does not: of frames 10 macroblocks wide, every run is another.
    So it is held to AVX2 on such a processor, which took as long at 640x360 and 1280x720.
    """
    if name == "libx264" and _has_avx512():
        return {"x264-params": "asm=AVX2", **options}
    return dict(options)


@cache
def _has_avx512() -> bool:
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # type: ignore[index]
    return any(name.startswith("AVX512") or name == "X86_V4" for name in found)


def try_device(family: Family, name: str) -> None:
    """Open a hardware encoder, before anything is upscaled for it.

    Raises:
        UnavailableDevice: Its device does not answer.
    """
    if not family.device:
        return
    try:
        context = CodecContext.create(family.encoder, "w", device_of(family.encoder))
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = _TRIED
        context.pix_fmt = sample_formats(family)[0]
        context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
        context.open()
    except (FFmpegError, RuntimeError, ValueError) as error:
        raise UnavailableDevice(
            f"--codec {name} needs {family.device}, which did not answer ({reason_of(error)}): "
            "leave it out to encode on the processor"
        ) from error
