"""The stretches of time that a clip's packets fill, and the holes between them."""

from bisect import bisect
from dataclasses import dataclass, field

__all__ = ["Coverage"]

_HOLE = 0.2  # seconds without anything, beyond what a pause between two packets is


@dataclass
class Coverage:
    """Time that the packets of image and sound fill, whatever their order in the file.

    Args:
        spans: Begin and end of each stretch, seconds, one after the other.
        lives: Of each stream, when its first and its last packet begins.
    """

    spans: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    lives: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])

    def add(self, stream: int, begin: float, length: float) -> None:
        """Count a packet in.

        Args:
            stream: Its index.
            begin: When it is shown or heard, seconds.
            length: For how long, seconds.
        """
        first, last = self.lives.get(stream, (begin, begin))
        self.lives[stream] = min(first, begin), max(last, begin)
        end = begin + length
        place = bisect(self.spans, (begin, end))
        while place and self.spans[place - 1][1] >= begin - _HOLE:
            place -= 1
            before = self.spans.pop(place)
            begin, end = min(begin, before[0]), max(end, before[1])
        while place < len(self.spans) and self.spans[place][0] <= end + _HOLE:
            end = max(end, self.spans.pop(place)[1])
        self.spans.insert(place, (begin, end))

    def holes(self) -> list[tuple[float, float]]:
        """When nothing is shown or heard, seconds, though all streams continue after it.

        Of a single stream nothing is said: its frames may last.
        """
        if len(self.lives) < 2:
            return []
        begin = max(first for first, _ in self.lives.values())
        end = min(last for _, last in self.lives.values())
        between = zip(self.spans, self.spans[1:], strict=False)
        found = [(before[1], after[0]) for before, after in between]
        return [(gone, back) for gone, back in found if gone > begin and back <= end]
