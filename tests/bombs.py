"""Documents that fill the memory of whoever writes them out."""

from __future__ import annotations


def bomb(levels: int = 12, width: int = 9) -> str:
    """Aliases of aliases, less than a kilobyte, which stand for `width ** levels` texts."""
    lines = ["datasets: &n0 [emovo]"]
    lines += [f"k{n}: &n{n} [{', '.join([f'*n{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"
