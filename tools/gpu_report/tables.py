"""Writes tables as CSV."""

import csv


def append_rows(file, head, rows):
    """Appends rows to a file. The first line of a new file is `head`."""
    new = not file.exists()
    with open(file, "a", newline="", encoding="utf-8") as to:
        csv.writer(to).writerows([head] * new + rows)
