"""Choose weights by what `-m` says: a network, weights by name, or several in a chain."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from srcli.defaults import AUTO, MODEL, PHOTO_MODELS, SCALE
from srcli.errors import UnknownModel, UnknownScale
from srcli.weights.local_files import fingerprint_of
from srcli.weights.manifest import CATALOGUE, how_to_get, known, usable
from srcli.weights.manifest_file import COMMUNITY, WeightsEntry

__all__ = [
    "best_scale",
    "clean_model",
    "default_scale",
    "entry_for_growth",
    "fingerprint",
    "is_file_name",
    "is_from_outside",
    "largest_scale",
    "network_of",
    "photo_model",
    "preparer_entries",
    "split_chain",
]

_LARGEST = 4  # of the scales that networks here have
_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")


def split_chain(model: str) -> tuple[str, ...]:
    """The names in `-m A,B`, which are run one after the other.

    >>> split_chain("1x-dejpg, adaformer")
    ('1x-dejpg', 'adaformer')
    """
    if "," in model and Path(model).suffix in _SUFFIXES and Path(model).is_file():
        return (model,)
    return tuple(clean_model(name.strip()) for name in model.split(","))


def clean_model(model: str) -> str:
    """The weights for clean images that `auto` chooses from; another model itself."""
    return MODEL if model == AUTO else model


def photo_model(model: str, scale: float) -> str | None:
    """The weights for compressed images that `auto` chooses from.

    They are of the default network if there are such for the scale, or for one to reduce from;
    else of the small network.

    Args:
        model: As `-m` takes it; `auto` within a chain is the default network.
        scale: SR px per LR px to a side.

    Returns:
        Their name; None for another model than `auto`, or if there are none.
    """
    for name in PHOTO_MODELS if model == AUTO else ():
        with suppress(UnknownModel, UnknownScale):
            return best_scale(name, max(scale, 2)).variant or name
    return None


def network_of(model: str) -> str:
    """The network that `-m model` runs: its own name, or that of the weights it names.

    Of several in a chain, the last.
    """
    model = split_chain(model)[-1]
    entries = [entry for entry in known() if entry.answers_to(model)]
    if not entries or any(model in (e.model, *e.also_for) for e in entries if not e.variant):
        return model
    return entries[0].model


def is_file_name(name: str) -> bool:
    """Tell if a name means a file of weights; a name of known weights never does."""
    return Path(name).suffix.lower() in _SUFFIXES and not any(e.answers_to(name) for e in known())


def is_from_outside(model: str) -> bool:
    """Tell if `-m model` names a file, or a model of OpenModelDB; see `as_known`."""
    return any(name.startswith(CATALOGUE) or is_file_name(name) for name in split_chain(model))


def preparer_entries(model: str) -> tuple[WeightsEntry, ...]:
    """The weights in a chain that run before the last, which keep an image's size.

    Raises:
        UnknownModel: There are none of a name.
        UnknownScale: One of them enlarges.
    """
    found: list[WeightsEntry] = []
    for name in split_chain(model)[:-1]:
        entry = _usable_entries(name, 1)[0]
        if entry.scale != 1:
            raise UnknownScale(
                f"{name} makes x{entry.scale}, and only networks that keep the size go before "
                f"another; hint: -m {split_chain(model)[-1]}"
            )
        found.append(entry)
    return tuple(found)


def fingerprint(model: str, weights: WeightsEntry) -> str:
    """Identity of all that `-m model` runs: hashes with "+" between them; "" if one has none."""
    photo = photo_model(model, weights.scale)
    chosen = (best_scale(photo, weights.scale),) if photo else ()
    hashes = [fingerprint_of(entry) for entry in (*preparer_entries(model), weights, *chosen)]
    return "+".join(hashes) if all(hashes) else ""


def best_scale(model: str, scale: float) -> WeightsEntry:
    """The weights of `model` that serve `scale` best: the smallest scale that reaches it.

    A larger result is reduced afterwards, never enlarged.

    Args:
        model: A network, or weights by name; of several in a chain, the last is meant.
        scale: Above 1; 1 for weights that keep the size.

    Raises:
        UnknownModel: There are no weights of that name, or for that network, or none but those
            that people have to get by hand first.
        UnknownScale: `scale` is not above 1, or beyond every scale there are weights for.
    """
    entries = _usable_entries(model, scale)
    largest = entries[-1].scale
    if largest == 1 and scale != 1:
        raise UnknownScale(
            f"scale {scale:g} is out of range: {model} keeps the size; hint: -s 1, or let another "
            f"enlarge after it: -m {model},{MODEL}"
        )
    if not 1 < scale <= largest and largest != 1:
        raise UnknownScale(
            f"scale {scale:g} is out of range: {model} enlarges by more than 1, up to {largest}"
            f"{_advice(scale)}"
        )
    return next(entry for entry in entries if entry.scale >= scale)


def largest_scale(model: str) -> WeightsEntry:
    """The weights of `model` that make the largest images.

    Raises:
        UnknownModel: See `best_scale`.
    """
    return _usable_entries(model, 1)[-1]


def default_scale(model: str) -> float:
    """The scale where none is asked for: `SCALE`, or the largest of the model if that is less."""
    return float(min(SCALE, largest_scale(model).scale))


def entry_for_growth(model: str, needed: int) -> WeightsEntry:
    """The weights for an image that has to grow by `needed`, which is 1 where it does not.

    Raises:
        UnknownModel: See `best_scale`.
        UnknownScale: See `best_scale`.
    """
    keeps = largest_scale(model).scale == 1
    return best_scale(model, needed if keeps else max(needed, 2))


def _advice(scale: float) -> str:
    """Hint for a scale that no network has; "" where two runs do not reach it either."""
    if scale <= 1:
        return f"; hint: -s {_LARGEST}, or a smaller size by --width, --height or --fit"
    if scale > _LARGEST**2:
        return ""
    return f"; hint: upscale twice: first -s {_LARGEST}, then its result by -s {scale / _LARGEST:g}"


def _usable_entries(model: str, scale: float) -> list[WeightsEntry]:
    """The weights that can run, by scale, for the network asked for; `scale` for the message."""
    model = split_chain(model)[-1]
    named = [entry for entry in known() if entry.answers_to(model)]
    if not named:
        have = ", ".join(sorted({entry.title for entry in known() if _worth_naming(entry)}))
        alike = sorted({e.title for e in known() if e.title.startswith(model.lower())})
        meant = f"did you mean {', '.join(alike)}?; " if alike else ""
        raise UnknownModel(
            f"no weights for a model named {model!r} (have {have}); hint: {meant}srcli weights list"
        )
    # Of one scale, weights made for this very network first.
    entries = sorted((e for e in named if usable(e)), key=lambda e: (e.scale, e.model != model))
    if not entries:
        reaching = [entry for entry in named if entry.scale >= scale] or named
        how = how_to_get(min(reaching, key=lambda entry: entry.scale))
        raise UnknownModel(f"no weights for {model} here: {how}")
    return [_as_asked(entry, model) for entry in entries]


def _worth_naming(entry: WeightsEntry) -> bool:
    """True for networks of srcli's, and for what a person has brought."""
    return usable(entry) and (entry.model != COMMUNITY or entry.folder is not None)


def _as_asked(entry: WeightsEntry, model: str) -> WeightsEntry:
    """The entry for the network asked for, where it serves several."""
    return replace(entry, model=model) if model in entry.also_for else entry
