"""The rows as a table for people, or as one JSON object per line."""

import json


def number(value: object, digits: int = 0) -> str:
    """A number with `digits` decimals, or a dash."""
    return "–" if value is None else f"{value:,.{digits}f}"


def show(header: list[str], rows: list[list[str]]) -> None:
    """Columns that hold numbers are aligned right, all others left."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    numeric = [all(row[column][:1].isdigit() or row[column] in "–" for row in rows) for column in range(len(header))]

    def line(row: list[str]) -> str:
        cells = zip(row, widths, numeric, strict=True)
        return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()

    print(line(header))
    print(line(["-" * width for width in widths]))
    for row in rows:
        print(line(row))


def emit(rows: list[dict]) -> None:
    """One JSON object per line."""
    for row in rows:
        print(json.dumps(row))
