"""Numbers in words. Imports nothing, so that the tally runs wherever Snakemake does."""

from __future__ import annotations


def counted(number: int, word: str, words: str = "") -> str:
    """A number with its word: "1 clip", "3 clips"."""
    return f"{number:,} {word if number == 1 else words or word + 's'}"
