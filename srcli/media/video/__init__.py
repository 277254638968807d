"""Clips in and out: frames with their times, and everything else beside them."""

from srcli.media.video.animation_read import AnimationReader, is_animation
from srcli.media.video.animation_write import AnimationWriter, require_memory
from srcli.media.video.choose_encoding import (
    EncoderOptions,
    Encoding,
    check_encoder_options,
    choose_encoding,
    codec_for,
)
from srcli.media.video.clip_compression import compression_of_clip
from srcli.media.video.clip_process import IsolatedClip
from srcli.media.video.decode import ClipReader
from srcli.media.video.encoders import hardware_encoders
from srcli.media.video.frames import ClipInfo, Frame, FrameSource, SeekableSource
from srcli.media.video.mux import mux_result, other_streams_of
from srcli.media.video.preflight_encode import preflight_encode
from srcli.media.video.probe import DecodeOptions
from srcli.media.video.segments import (
    Segment,
    SegmentWriter,
    all_segments,
    find_segments,
    segment_at,
)
from srcli.media.video.sequence import SequenceReader

__all__ = [
    "AnimationReader",
    "AnimationWriter",
    "ClipInfo",
    "ClipReader",
    "DecodeOptions",
    "EncoderOptions",
    "Encoding",
    "Frame",
    "FrameSource",
    "IsolatedClip",
    "SeekableSource",
    "Segment",
    "SegmentWriter",
    "SequenceReader",
    "all_segments",
    "check_encoder_options",
    "choose_encoding",
    "codec_for",
    "compression_of_clip",
    "find_segments",
    "hardware_encoders",
    "is_animation",
    "mux_result",
    "other_streams_of",
    "preflight_encode",
    "require_memory",
    "segment_at",
]
