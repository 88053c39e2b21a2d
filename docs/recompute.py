"""Compute the scores of a report again from its predictions, with numpy alone: python recompute.py REPORT

Not computed here: scores of validation clips, raters' shares, several labels, and errors of numbers.
"""

import csv
import hashlib
import pathlib
import sys

import numpy as np


def scores(
    t, g, labels, present
):  # of truths and guesses; labels that the whole test lacks count where they are guessed
    if t.ndim > 1:  # numbers, a column for each dimension
        ccc = 2 * ((g - g.mean(0)) * (t - t.mean(0))).mean(0) / (t.var(0) + g.var(0) + (g - t).mean(0) ** 2)
        return {"mean_ccc": ccc.mean()} | {f"ccc_{name}": x for name, x in zip(labels, ccc, strict=True)}
    s, c, h = (np.bincount(x, minlength=len(labels)) for x in (t, g, t[t == g]))  # true clips, guessed ones, hits
    rows = {k: n * h / np.maximum(m, 1) for k, n, m in (("f1", 2, s + c), ("recall", 1, s), ("precision", 1, c))}
    counted = (s > 0) | ((c > 0) & ~np.isin(np.arange(len(labels)), present))
    means = {"macro_f1": rows["f1"][counted].mean(), "uar": rows["recall"][s > 0].mean(), "accuracy": h.sum() / len(t)}
    means["weighted_f1"] = rows["f1"] @ s / len(t)
    return means | {f"{name}/{labels[i]}": x for name, row in rows.items() for i, x in enumerate(row)}


def estimates(seeds, labels):  # score, and Student's interval over units that are left out in turn and over seeds
    speakers, present, last = np.array(seeds[0][2]), np.unique(seeds[0][0]), max(1, len(seeds) - 1)
    tables = [scores(t, g, labels, present) for t, g, _ in seeds]
    values = np.array([list(table.values()) for table in tables])
    few = len(set(speakers)) < 3 or len(speakers) ** 2 < 2 * (np.unique(speakers, return_counts=True)[1] ** 2).sum()
    units, sizes = np.unique(owner := np.arange(len(speakers)) if few else speakers, return_counts=True)
    rest = [[list(scores(t[m], g[m], labels, present).values()) for t, g, _ in seeds] for m in owner != units[:, None]]
    unit, seed = (1 - sizes / len(owner)) @ (np.mean(rest, axis=1) - values.mean(0)) ** 2, values.var(0) / last
    squares = unit**2 / (len(owner) ** 2 / (sizes**2).sum() - 1) + seed**2 / last
    angle = (np.arange(100_000) + 0.5) * np.pi / 200_000  # Student's t is sqrt(freedom) * tan(angle)
    for name, value, v, square in zip(tables[0], values.mean(0), unit + seed, squares, strict=True):
        n = v**2 / square if v > 1e-20 else 1  # degrees of freedom
        share = np.cumsum(density := np.cos(angle) ** (n - 1)) - density / 2
        half = (n * v) ** 0.5 * np.tan(np.interp(0.95 * density.sum(), share, angle))
        yield name, {"score": value, "low": max(-1 if "ccc" in name else 0, value - half), "high": min(1, value + half)}


def read(file, seed, digest):
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest(), f"{file} is not the file of results.csv"
    lines = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    names = [name for name in lines[0] if name not in ("clip", "speaker", "seed", "truth", "speech")]
    labels, seeds = [name[5:] for name in names if name.startswith("true ")] or names, []
    for number in dict.fromkeys(line["seed"] for line in lines if seed in ("all", line["seed"])):
        rows = [line for line in lines if line["seed"] == number]
        guess = np.array([[float(row[name]) for name in labels] for row in rows])
        truth = [labels.index(r["truth"]) if labels is names else [float(r[f"true {n}"]) for n in labels] for r in rows]
        seeds.append((np.array(truth), guess.argmax(1) if labels is names else guess, [row["speaker"] for row in rows]))
    return dict(estimates(seeds, labels))


if len(sys.argv) != 2 or not (pathlib.Path(sys.argv[1]) / "results.csv").is_file():
    sys.exit("usage: python docs/recompute.py REPORT, where REPORT is a folder of affetto report with its results.csv")
folder, values, wrong, counts = pathlib.Path(sys.argv[1]), {}, [], {"equal": 0, "not equal": 0, "not computed here": 0}
for row in csv.DictReader((folder / "results.csv").read_text("utf-8").splitlines()):
    file, key = row["predictions"], (row["predictions"], row["seed"])
    if file and key not in values and not file.endswith(("-shares.csv", "-labels.csv")):
        values[key] = read(folder / file, row["seed"], row["predictions digest"])
    value = values.get(key, {}).get(row["measure"], {})
    is_wrong = any(row[name] and abs(float(row[name]) - x) > 1e-6 for name, x in value.items())
    wrong += [f"{row['part']} {row['measure']} {row['score']} is not {value['score']:.10f}"] if is_wrong else []
    counts["not equal" if is_wrong else "equal" if value else "not computed here"] += 1
sys.exit("\n".join([*wrong, str(counts)]) if wrong else print(counts))
