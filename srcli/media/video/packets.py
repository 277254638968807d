"""The packets of some of a clip's streams."""

from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

__all__ = ["AnyPacket", "Part", "packets_of"]

if TYPE_CHECKING:  # generic to a type checker and not at run time
    AnyPacket = Packet[Stream]
else:
    AnyPacket = Packet

Part = tuple[Fraction, Fraction]
"""From when to when on a clip's own clock, seconds."""


def packets_of(
    container: InputContainer, indices: Collection[int], part: Part | None
) -> Iterator[AnyPacket]:
    """Read the packets of some streams, in the order of the file.

    Args:
        container: The clip, from which nothing has been read yet.
        indices: Of the streams.
        part: What to read, from somewhat before its begin to the first packet of any stream after
            its end; None for all.
    """
    if not indices:
        return
    if part is None:
        yield from container.demux(*(container.streams[index] for index in indices))
        return
    begin, end = part
    if begin > Fraction(container.start_time or 0, av.time_base):
        container.seek(int(begin * av.time_base))
    for packet in container.demux():
        if packet.pts is not None and packet.pts * packet.time_base > end:
            return
        if packet.stream.index in indices:
            yield packet
