"""Tables as CSV."""

import csv


def append_rows(file, head, rows):
    """Adds rows to a file, which gets `head` as its first line."""
    new = not file.exists()
    with open(file, "a", newline="", encoding="utf-8") as to:
        csv.writer(to).writerows([head] * new + rows)
