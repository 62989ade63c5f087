"""Putting one faulty file into a temporary tree, so that a check can be seen failing."""

from pathlib import Path


def plant(root: Path, path: str, text: str) -> Path:
    """Write text to root/path, making folders as needed; gives root back."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return root
