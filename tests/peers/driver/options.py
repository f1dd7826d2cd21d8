"""Values of options, checked."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

PRECISIONS = ("f32", "bf16")


def count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"`{text}` is no whole number above 0")
    return int(text)


def counts(text: str) -> list[int]:
    """Such as `1,2`, each once."""
    return list(dict.fromkeys(count(word) for word in text.split(",")))


def ours_only(parser: ArgumentParser, peer: str) -> None:
    """The option that leaves `peer` out."""
    parser.add_argument("--ours-only", action="store_true", help=f"leave out {peer}, which then need not be installed")


def file(text: str) -> Path:
    """A file that is there."""
    if not Path(text).is_file():
        raise ArgumentTypeError(f"`{text}` is no file")
    return Path(text)


def seconds(text: str) -> float:
    """A time above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 3_600.0:
        raise ArgumentTypeError(f"`{text}` is no time between 0 and 3,600 s")
    return value


def precisions(text: str) -> list[str]:
    """Of `f32,bf16`."""
    words = list(dict.fromkeys(text.split(",")))
    unknown = [word for word in words if word not in PRECISIONS]
    if unknown:
        raise ArgumentTypeError(f"no precision `{unknown[0]}`; there are {', '.join(PRECISIONS)}")
    return words
