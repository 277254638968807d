"""Clips in and out: frames with their times, and everything else beside them."""

from srcli.media.video.animation import AnimationReader, is_animation
from srcli.media.video.animation_writing import AnimationWriter, require_memory
from srcli.media.video.codecs import Encoding, Wanted, check_wanted, choose_encoding, codec_for
from srcli.media.video.decoding import ClipReader
from srcli.media.video.frames import ClipInfo, Frame, FrameSource
from srcli.media.video.joining import join, rest_of
from srcli.media.video.probing import Reading
from srcli.media.video.rehearsal import rehearse
from srcli.media.video.segments import Segment, SegmentWriter, find_segments
from srcli.media.video.sequence import SequenceReader

__all__ = [
    "AnimationReader",
    "AnimationWriter",
    "ClipInfo",
    "ClipReader",
    "Encoding",
    "Frame",
    "FrameSource",
    "Reading",
    "Segment",
    "SegmentWriter",
    "SequenceReader",
    "Wanted",
    "check_wanted",
    "choose_encoding",
    "codec_for",
    "find_segments",
    "is_animation",
    "join",
    "rehearse",
    "require_memory",
    "rest_of",
]
