"""PyAV's packets, which are generic to a type checker and not at run time."""

from typing import TYPE_CHECKING

from av.packet import Packet
from av.stream import Stream

__all__ = ["AnyPacket"]

if TYPE_CHECKING:
    AnyPacket = Packet[Stream]
else:
    AnyPacket = Packet
