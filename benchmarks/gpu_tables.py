"""Tables of `benchmarks/gpu.py` in Markdown: the targets beside what was measured, and each part."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_MEASURED = "not measured"
Results = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """Row of the table of targets. `measure` finds its figure in the results, or None."""

    title: str
    bound: float
    measure: Callable[[Results], float | None]
    unit: str = "×"
    is_least: bool = True
    """True where the figure should be at least the bound, False where at most."""

    def cells(self, results: Results) -> tuple[str, str, str]:
        """Title, target and figure."""
        sign, figure = "≥" if self.is_least else "≤", self.measure(results)
        target = f"{sign} {self.bound:g}{self._unit}"
        if figure is None:
            return self.title, target, NOT_MEASURED
        is_reached = figure >= self.bound if self.is_least else figure <= self.bound
        return self.title, target, f"{_digits(figure)}{self._unit}" + ("" if is_reached else " (missed)")

    @property
    def _unit(self) -> str:
        return self.unit if self.unit == "×" else f" {self.unit}"


def _digits(figure: float) -> str:
    """A figure with three digits, or all of those before the point."""
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"


def row(results: Results, backbone: str, method: str) -> Results | None:
    """The comparison of a method on a backbone."""
    rows = results["parts"].get("shapes", {}).get("results", [])
    return next((row for row in rows if (row["backbone"], row["method"]) == (backbone, method)), None)


def ratio(backbone: str, method: str, *within: str) -> Callable[[Results], float | None]:
    """Ratio to the yardstick, above 1 where ours is faster; `within`: keys of a further comparison inside the row."""

    def measure(results: Results) -> float | None:
        comparison: Any = row(results, backbone, method)
        for key in within:
            comparison = comparison and comparison.get(key)
        return comparison and float(comparison["ratio"])

    return measure


def fact(backbone: str, method: str, fact_of: Callable[[Results], float]) -> Callable[[Results], float | None]:
    """A figure of the comparison of a method on a backbone."""

    def measure(results: Results) -> float | None:
        comparison = row(results, backbone, method)
        return None if comparison is None else fact_of(comparison)

    return measure


def prepared(comparison: Results) -> float:
    """Clips a second, from files to stored states."""
    return float(comparison["clips"] / comparison["prepare_seconds"])


def lora_alone(results: Results) -> float | None:
    seconds = results["parts"].get("emovo", {}).get("lora_alone_seconds")
    return None if seconds is None else float(seconds)


def paper_hours(results: Results) -> float | None:
    seconds = results["parts"].get("paper", {}).get("total_seconds")
    return None if seconds is None else seconds / 3600


BASE, LARGE = "wav2vec2-base", "wav2vec2-large"
TARGETS = (
    Target("LoRA, an epoch, wav2vec2-base", 3, ratio(BASE, "lora")),
    Target("Adapter, an epoch, wav2vec2-base", 3, ratio(BASE, "adapter")),
    Target("LoRA, three seeds stacked, each", 5, ratio(BASE, "lora", "stacked", "3")),
    Target("LoRA, six folds stacked, each", 5, ratio(BASE, "lora", "stacked", "6")),
    Target("LoRA, an epoch, wav2vec2-large", 2, ratio(LARGE, "lora")),
    Target(
        "LoRA, wav2vec2-large, share of the matrix peak",
        35,
        fact(LARGE, "lora", lambda comparison: 100 * comparison["share_of_peak"]),
        "%",
    ),
    Target("LoRA, an epoch, WavLM Base+", 2.5, ratio("wavlm-base-plus", "lora")),
    Target("LoRA, an epoch, Whisper small", 2.5, ratio("whisper-small", "lora")),
    Target("frozen, 30 epochs from an empty store, one seed", 28, ratio(BASE, "frozen")),
    Target("frozen, 30 epochs from an empty store, three seeds", 75, ratio(BASE, "frozen", "three_seeds")),
    Target("inference, against transformers' pipeline", 3, ratio(BASE, "inference")),
    Target("preparing, wav2vec2-base", 1500, fact(BASE, "frozen", prepared), "clips/s"),
    Target("preparing, wav2vec2-large", 500, fact(LARGE, "frozen", prepared), "clips/s"),
    Target(
        "EMOVO, Whisper base, LoRA, leave one speaker out, with probe and final model",
        30,
        lora_alone,
        "s",
        is_least=False,
    ),
    Target("the paper's 216 runs, from measured steps", 2.5, paper_hours, "hours", is_least=False),
)


def page(results: Results) -> str:
    """All of the results."""
    device, versions = results["machine"]["device"], results["machine"]["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "transformers", "peft"))
    commit = results["machine"].get("commit") or "no commit"
    sections = [
        f"# Figures of a machine\n\n{device}; {packages}; affetto {versions['affetto']} ({commit}); "
        f"{results.get('seconds', 0):.0f} s of {60 * results['minutes']:.0f} s."
        + (" Small shapes, to try the script: no figure here means anything." if results["tiny"] else ""),
        "## Parts\n\n" + table(("part", "state", "seconds", "note"), _parts(results)),
        "## Targets\n\nTimes as fast as the yardstick, like with like, both in bfloat16, unless another unit is "
        "given.\n\n" + table(("", "target", "measured"), [target.cells(results) for target in TARGETS]),
        "## Shapes\n\n" + table(SHAPE_COLUMNS, _shapes(results)),
        "## EMOVO, leave one speaker out\n\n" + table(("method", "UAR, by seed", "seconds"), _emovo(results)),
        "## The paper's grid, from measured steps\n\n" + table(("", ""), _paper(results)),
    ]
    return "\n\n".join(sections) + "\n"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; without rows one that says so."""
    rows = rows or [(NOT_MEASURED, *[""] * (len(titles) - 1))]
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _parts(results: Results) -> list[tuple[str, ...]]:
    parts = results["parts"].items()
    return [(name, part["state"], f"{part['seconds']:.0f}", part.get("note") or "") for name, part in parts]


SHAPE_COLUMNS = ("backbone", "what", "times as fast", "clips/s", "yardstick", "memory", "peak", "step", "launches", "")


def _shapes(results: Results) -> list[tuple[str, ...]]:
    rows = []
    for comparison in results["parts"].get("shapes", {}).get("results", []):
        counts, epoch = comparison.get("counts", {}), comparison.get("epoch_parts")
        seconds = epoch and epoch["steps"] + epoch["outside"]
        rows.append(
            (
                comparison["backbone"],
                comparison["method"],
                f"{comparison['ratio']:.2f}×",
                f"{comparison['our_clips_per_second']:.0f}",
                f"{comparison['yardstick_clips_per_second']:.0f}",
                f"{comparison['memory_ratio']:.2f}×",
                f"{100 * comparison['share_of_peak']:.0f} %" if "share_of_peak" in comparison else "",
                f"{1000 * epoch['step']:.1f} ms" if epoch else "",
                str(counts.get("launches", counts.get("dispatched", ""))),
                f"{100 * epoch['outside'] / seconds:.0f} % outside steps" if epoch else "",
            )
        )
        several = {"three seeds": comparison["three_seeds"]} if "three_seeds" in comparison else {}
        several |= {f"{fits} stacked, each": result for fits, result in comparison.get("stacked", {}).items()}
        for title, result in several.items():
            rates = (f"{result[f'{side}_clips_per_second']:.0f}" for side in ("our", "yardstick"))
            rows.append(("", f"… {title}", f"{result['ratio']:.2f}×", *rates, *[""] * 5))
    return rows


def _emovo(results: Results) -> list[tuple[str, ...]]:
    runs = results["parts"].get("emovo", {}).get("runs", [])
    rows = []
    for method in dict.fromkeys(run["method"] for run in runs):
        group = [run for run in runs if run["method"] == method]
        scores = " ".join(f"{run['uar']:.3f}" for run in sorted(group, key=lambda run: run["seed"]))
        rows.append((method, scores, f"{statistics.median(run['wall_seconds'] for run in group):.1f}"))
    return rows


def _paper(results: Results) -> list[tuple[str, ...]]:
    part = results["parts"].get("paper")
    if part is None or part["total_seconds"] is None:
        return []
    titles = {"prepare": "preparing, once for all seeds", "train": "training steps", "judge": "validation and test"}
    rows = [(titles[name], f"{seconds / 3600:.2f} hours") for name, seconds in part["parts"].items()]
    return [*rows, (f"all {part['runs']} runs, one after another", f"{part['total_seconds'] / 3600:.2f} hours")]
