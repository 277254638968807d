"""Tags and marks of a clip and its streams: what goes along, and what a result has not kept."""

import re
from collections.abc import Mapping
from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition, Stream

from srcli.media.metadata_policy import MetadataPolicy
from srcli.media.video.container import opened
from srcli.media.video.structure import extras_of

__all__ = [
    "container_tags",
    "described",
    "has_apples_tags",
    "is_cover",
    "stream_tags",
    "tag_losses",
]

_STALE = (
    *("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS_", "ENCODER", "VENDOR_ID"),
    *("ALPHA_MODE", "ROTATE"),  # the pixels are turned, and there is no such alpha any more
)
_CONTAINERS_OWN = ("major_brand", "minor_version", "compatible_brands", "encoder")
_COVER = 0x400  # attached_pic
_HANDLER = re.compile(r"handler|core media|^(video|audio|sound|text|time ?code)$|\x00", re.I)

_TOLD_ELSEWHERE = ("language", "timecode", "handler_name", "rotate", "encoder", "vendor_id")
_WORDS = {
    "comment": "commentary",
    "hearing_impaired": "hearing impaired",
    "visual_impaired": "visual impaired",
}
_APPLE = "com.apple."
# QuickTime's own codes where FFmpeg spells them otherwise than Matroska and MP4 do
_QUICKTIME = {
    "deu": "ger",
    "nld": "dut",
    "swe": "sve",
    "ell": "gre",
    "isl": "ice",
    "zho": "chi",
    "sqi": "alb",
    "mkd": "mac",
    "fre": "fra",
    "rum": "ron",
    "cze": "ces",
    "slo": "slk",
}
_UNKNOWN = ("", "und", "unk")


def described(stream: Stream) -> str:
    """A stream in words: `subtitle stream 2 (subrip, deu)`."""
    known: str | None = stream.codec_context.name if stream.codec_context else None
    # of a subtitle without a decoder (TTML), PyAV cannot tell even this
    name = known or getattr(stream, "name", None) or "unknown"
    language = stream.metadata.get("language")
    kind = "cover image" if is_cover(stream) else f"{stream.type} stream"
    return f"{kind} {stream.index} ({name}{f', {language}' if language else ''})"


def is_cover(stream: Stream) -> bool:
    """Tell if the stream is a cover image that stands for the clip."""
    return stream.type == "video" and bool(stream.disposition & _COVER)


def stream_tags(stream: Stream, policy: MetadataPolicy, format: str) -> dict[str, str]:
    """Its tags that are still true of the result; a name goes where its format has names."""
    tags = {k: v for k, v in stream.metadata.items() if not k.upper().startswith(_STALE)}
    name = tags.pop("name", "")  # as FFmpeg reads what it writes for a title in MP4
    if name:
        tags.setdefault("title", name)
    handler = tags.get("handler_name", "")
    if format in ("matroska", "webm") and "title" not in tags and _is_name(handler):
        tags["title"] = handler
        del tags["handler_name"]
    if format == "mov":
        language = tags.get("language", "")
        tags.update({"language": _QUICKTIME[language]} if language in _QUICKTIME else {})
    return policy.tags(tags)


def _is_name(handler: str) -> bool:
    """Tell if a QuickTime handler's name was given by somebody, and is not a program's."""
    return bool(handler) and not _HANDLER.search(handler)


def container_tags(container: InputContainer, policy: MetadataPolicy) -> dict[str, str]:
    """The clip's tags, but for those that describe the file it was in."""
    tags = {
        key: value
        for key, value in container.metadata.items()
        if key.lower() not in _CONTAINERS_OWN
        and not (key.lower() == "software" and value.startswith("Lavf"))  # of AVI: its muxer
    }
    # Matroska's keys are capitals, Apple's are not
    tags = {
        key.lower().replace("iso6709", "ISO6709") if key.startswith(_APPLE.upper()) else key: value
        for key, value in tags.items()
    }
    return policy.tags(tags)


def has_apples_tags(tags: Mapping[str, str]) -> bool:
    """Tell if there are tags that MP4's muxer writes in QuickTime's way alone."""
    return any(key.startswith(_APPLE) for key in tags)


def tag_losses(source: Path, target: Path, indices: list[int], policy: MetadataPolicy) -> list[str]:
    """One line for each stream whose tags or marks the result has not kept, and for the clip.

    Args:
        source: The clip.
        target: Its result, finished.
        indices: Of the source's streams that are in the result, in its order, without
            attachments and covers.
        policy: Which tags were to be kept.
    """
    with opened(source) as before, opened(target) as after:
        lines: list[str] = []
        format = after.format.name
        missing = _missing(container_tags(before, policy), after.metadata)
        if missing:
            lines.append(f"{target}: tags that {target.suffix} does not keep: {', '.join(missing)}")
        extras = extras_of(source, before)
        kept = [s for s in after.streams if s.type != "attachment" and not is_cover(s)]
        for index, now in zip(indices, kept, strict=False):
            was = before.streams[index]
            wanted = stream_tags(was, policy, "matroska" if "matroska" in format else format)
            language = extras[index].language if index in extras else ""
            said = [
                *_stream_tags_missing(wanted, now),
                *_marks(was, now),
                *_language(wanted, language, now),
            ]
            if said:
                lines.append(f"{target}: {described(was)}: {'; '.join(said)}")
        return lines


def _stream_tags_missing(wanted: Mapping[str, str], now: Stream) -> list[str]:
    missing = _missing(wanted, now.metadata)
    handler = wanted.get("handler_name", "")
    if _is_name(handler) and handler not in now.metadata.values():
        missing.append(f"name {handler}")
    return [f"tags that are not kept: {', '.join(missing)}"] if missing else []


def _missing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Tags whose values are nowhere in the result, under whatever key."""
    there = {value[:19] for value in found.values()}
    return [
        f"{key} ({value[:60]})"
        for key, value in wanted.items()
        if value.strip() and value[:19] not in there and key.lower() not in _TOLD_ELSEWHERE
    ]


def _marks(was: Stream, now: Stream) -> list[str]:
    said: list[str] = []
    before, after = int(was.disposition), int(now.disposition)
    lost = [_word(mark) for mark in Disposition if mark & before & ~after]
    if lost:
        said.append(f"marks that are not kept: {', '.join(lost)}")
    gained = after & ~before & int(Disposition.default)
    if gained and was.type == "subtitle":
        said.append("is now marked default")
    return said


def _word(mark: Disposition) -> str:
    name = mark.name or str(int(mark))
    return _WORDS.get(name, name)


def _language(wanted: Mapping[str, str], bcp47: str, now: Stream) -> list[str]:
    before, after = wanted.get("language", ""), now.metadata.get("language", "")
    said: list[str] = []
    if before not in _UNKNOWN and after in _UNKNOWN:
        said.append(f"language {before} is not kept")
    if "-" in bcp47:
        said.append(f"language {bcp47} (BCP 47) becomes {after or 'unknown'}")
    return said
