"""The rows of the matrix, one file per subject. Importing one registers its rows."""

import importlib

from faults.harness import ROWS

SUBJECTS = (
    "kill",
    "crash_points",
    "damage",
    "giant",
    "power",
    "space",
    "calls",
    "limits",
    "lock",
    "clock",
    "watchers",
    "sources",
    "file_systems",
    "caches",
    "rotation",
    "sealed",
    "hostile",
    "rewritten",
    "pruned",
)


def load() -> None:
    """Registers all rows, in the order of the matrix."""
    for subject in SUBJECTS:
        importlib.import_module(f"faults.rows.{subject}")
    ROWS.sort(key=lambda row: (int(row.group), row.number))
