"""Facts of the annotations of a corpus: ratings, several labels, and dimensions with their spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from affetto.corpora.manifest import Manifest


def annotation_facts(manifest: Manifest) -> dict[str, Any] | None:
    """Ratings, raters, several labels and dimensions of a corpus, ready for JSON; None where it has none of them.

    `ratings_per_clip` is over clips with a rating; `sd` is the standard deviation over clips (ddof 0).
    """
    rated = [clip for clip in manifest.clips if clip.ratings]
    several = sum(bool(clip.labels) for clip in manifest.clips)
    values: dict[str, list[float]] = {}
    for clip in manifest.clips:
        for name, value in clip.dimensions:
            values.setdefault(name, []).append(value)
    if not (rated or several or values):
        return None
    sizes = [len(clip.ratings) for clip in rated]
    return {
        "ratings": sum(sizes),
        "rated_clips": len(rated),
        "ratings_per_clip": {"mean": float(np.mean(sizes)), "min": min(sizes), "max": max(sizes)} if sizes else None,
        "raters": len({rating.rater for clip in rated for rating in clip.ratings if rating.rater}),
        "clips_with_several_labels": several,
        "dimensions": {name: _dimension(manifest, name, numbers) for name, numbers in sorted(values.items())},
    }


def annotation_table(manifest: Manifest) -> Table | None:
    """The facts for a terminal; None where there are none."""
    facts = annotation_facts(manifest)
    if facts is None:
        return None
    table = Table(box=None, show_header=False)
    if facts["ratings"]:
        spread = facts["ratings_per_clip"]
        raters = f"by {facts['raters']:,} raters" if facts["raters"] else "by raters without names"
        table.add_row(
            "ratings",
            f"{facts['ratings']:,} of {facts['rated_clips']:,} clips {raters}, {spread['mean']:.2f} a clip "
            f"({spread['min']} to {spread['max']})",
        )
    if facts["clips_with_several_labels"]:
        table.add_row("labels", f"{facts['clips_with_several_labels']:,} clips with several")
    for name, dimension in facts["dimensions"].items():
        scale = f", range {dimension['low']:g} to {dimension['high']:g}" if "low" in dimension else ""
        spread_text = f"{dimension['mean']:.3f} ± {dimension['sd']:.3f}"
        table.add_row(escape(name), f"{spread_text} over {dimension['clips']:,} clips{scale}")
    return table


def _dimension(manifest: Manifest, name: str, values: list[float]) -> dict[str, Any]:
    """Clips, mean, standard deviation and, where it is known, the range of a dimension."""
    facts = {"clips": len(values), "mean": float(np.mean(values)), "sd": float(np.std(values))}
    scale = manifest.dimensions.get(name)
    return facts if scale is None else {**facts, "low": scale.low, "high": scale.high}
