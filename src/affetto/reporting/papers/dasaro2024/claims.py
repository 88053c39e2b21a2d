"""What the paper claims, each claim tested on what was run.

A claim is a list of statements: one cell (backbone and method) has a higher F1 over the three corpora, or at least as
high a one, as another. Each is tested by a paired comparison on the clips of every corpus that both were tested on, the
corpora weighing the same. Its verdict is read off one interval, widened for the number of statements that could
be tested (Bonferroni: level 1 - 0.05/m), so that a claim of twelve is not found wanting by chance alone:

    holds      the interval lies wholly on the side that the paper says, and so does the difference
    does not   wholly on the other side
    undecided  neither; or no interval, for want of a third test speaker; or one seed
    not run    a cell is missing

The interval is Student's t over speakers and seeds (`affetto.training.intervals`). From ten effective speakers on a
difference must pass the permutation test with Holm's correction as well ("at least" is no difference); with fewer the
interval alone decides. A claim is about methods, of which one training each tells nothing: of one seed the difference
is shown and nothing is decided. That "A is at least as good as B" needs a margin, which the paper does not name:
MARGIN. A claim holds when all of its statements do, and does not when one does not. A corpus with one or two test
speakers, as EMOVO under 80/10/10, says nothing of others and is left out of the verdict; its difference is shown
beside, as each corpus's is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from affetto.errors import UserError
from affetto.models.keys import BACKBONES
from affetto.reporting.papers.dasaro2024.numbers import CORPORA, TABLE_I, TABLE_III
from affetto.reporting.stats.paired import ALPHA, Comparison, can_be_tested, compare, difference, holm
from affetto.reporting.stats.systems import System

HOLDS, DOES_NOT, UNDECIDED, NOT_RUN = "holds", "does not", "undecided", "not run"
ABOVE, AT_LEAST = "above", "at least"

Cell = tuple[str, str]
"""Backbone key and method."""
Systems = Mapping[tuple[str, str, str], System]
"""By backbone key, corpus and method."""

KEYS = {scenario: [key for key, one in BACKBONES.items() if one.scenario == scenario] for scenario in "AB"}
ENGLISH = [row.keys[0] for row in TABLE_I if row.english_only]
MULTILINGUAL = [row.keys[0] for row in TABLE_I if not row.english_only]
SPECIALISED = [row.keys[1] for row in TABLE_I if len(row.keys) > 1 and not row.english_only]
PAIRS = [row.keys for row in TABLE_I if len(row.keys) > 1]
LARGE = "wav2vec2-large"

MARGIN = max(TABLE_III[key, "frozen"].deviation or 0.0 for key in KEYS["A"]) / 100
"""What still counts as "comparable": 1.97 points of macro F1, the largest standard deviation over seeds that the
paper prints for a frozen backbone of scenario A."""


@dataclass(frozen=True)
class Statement:
    """Two cells; `kind` says how the first is claimed to stand to the second: `above` it or `at least` as high."""

    first: Cell
    second: Cell
    kind: str = ABOVE

    @property
    def published(self) -> float:
        """The paper's own difference, as a fraction."""
        return (TABLE_III[self.first].mean - TABLE_III[self.second].mean) / 100


@dataclass(frozen=True)
class Claim:
    key: str
    words: str
    place: str
    """In the paper."""
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Finding:
    """A statement as it came out. `comparison` is over the corpora that can be tested, `by_corpus` the difference in
    each."""

    statement: Statement
    verdict: str
    reason: str
    """In a few words; empty where the verdict says it all."""
    comparison: Comparison | None = None
    by_corpus: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = CORPORA
    """Corpora of the paper that the cells were not both tested on."""
    lone: tuple[str, ...] = ()
    """Corpora with too few test speakers: no part of `comparison`, unless there is no other."""

    @property
    def first(self) -> str:
        return title(self.statement.first)

    @property
    def second(self) -> str:
        return title(self.statement.second)


@dataclass(frozen=True)
class Judgement:
    claim: Claim
    verdict: str
    findings: tuple[Finding, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    """{verdict: statements}."""


def _each(firsts: Sequence[Cell], seconds: Sequence[Cell]) -> tuple[Statement, ...]:
    return tuple(Statement(one, other) for one, other in zip(firsts, seconds, strict=True))


def _all(firsts: Sequence[str], seconds: Sequence[str], methods: Sequence[str], kind: str) -> tuple[Statement, ...]:
    return tuple(
        Statement((one, m), (other, m), kind) for m in methods for one in firsts for other in seconds if one != other
    )


def _methods(keys: Sequence[str], method: str) -> list[Cell]:
    return [(key, method) for key in keys]


_BUT_WAVLM = [key for key in (*KEYS["A"], *KEYS["B"]) if key != "wavlm-base-plus"]
_WAVLM: tuple[Cell, Cell] = (("wavlm-base-plus", "adapter"), ("wavlm-base-plus", "frozen"))
_A_OVER_B = [pair if pair[0] != "xlsr-53" else pair[::-1] for pair in PAIRS]

CLAIMS = (
    Claim(
        "lora-above-frozen", "LoRA gives a higher F1 than the frozen backbone, for every backbone of scenario A.",
        "abstract, IV-C2, V", _each(_methods(KEYS["A"], "lora"), _methods(KEYS["A"], "frozen")),
    ),
    Claim(
        "adapter-below-frozen",
        "The Adapter gives a lower F1 than the frozen backbone, but for WavLM Base+, where it gives a higher one.",
        "IV-C2",
        (*_each(_methods(_BUT_WAVLM, "frozen"), _methods(_BUT_WAVLM, "adapter")), Statement(*_WAVLM)),
    ),
    Claim(
        "english-at-least-multilingual", "English-only backbones are at least as good as the multilingual ones.",
        "abstract, IV-C1, IV-C2, V", _all(ENGLISH, MULTILINGUAL, ("frozen", "lora"), AT_LEAST),
    ),
    Claim(
        "english-at-least-specialised",
        "English-only backbones are at least as good as the multilingual ones that were specialised in Italian.",
        "abstract, IV-C1", _all(ENGLISH, SPECIALISED, ("frozen", "lora"), AT_LEAST),
    ),
    Claim(
        "b-below-a", "Specialisation in Italian (scenario B) lowers F1, but for XLSR-53, where it raises it.",
        "IV-C1, IV-C2",
        tuple(Statement((one, m), (other, m)) for m in ("frozen", "lora") for one, other in _A_OVER_B),
    ),
    Claim(
        "lora-below-frozen-in-b", "In scenario B LoRA gives a lower F1 than the frozen backbone.",
        "IV-C2", _each(_methods(KEYS["B"], "frozen"), _methods(KEYS["B"], "lora")),
    ),
    Claim(
        "large-first", "Wav2Vec 2.0 Large is the best backbone of scenario A, frozen and with LoRA.",
        "IV-C1, IV-C2, V", _all([LARGE], KEYS["A"], ("frozen", "lora"), ABOVE),
    ),
)  # fmt: skip


def title(cell: Cell) -> str:
    """A cell as people name it.

    >>> title(("xlsr-53-it", "lora"))
    'XLSR-53 (B), lora'
    """
    return f"{BACKBONES[cell[0]].title} ({BACKBONES[cell[0]].scenario}), {cell[1]}"


def judge(systems: Systems, claims: Sequence[Claim] = CLAIMS) -> tuple[Judgement, ...]:
    """Each claim on what was run. All systems must be of one protocol; the split alone may differ by corpus."""
    return tuple(_judged(claim, systems) for claim in claims)


def _judged(claim: Claim, systems: Systems) -> Judgement:
    pairs = [_pairs(statement, systems) for statement in claim.statements]
    tested = sum(any(can_be_tested(system) for system, _ in each.values()) for each in pairs)
    level = 1 - ALPHA / max(1, tested)
    findings = [_compared(c, found, level) for c, found in zip(claim.statements, pairs, strict=True)]
    corrected = iter(holm([each.comparison for each in findings if each.comparison]))
    findings = [replace(each, comparison=next(corrected)) if each.comparison else each for each in findings]
    findings = [_decided(each) for each in findings]
    counts = Counter(each.verdict for each in findings)
    if counts[DOES_NOT]:
        verdict = DOES_NOT
    elif counts[NOT_RUN] == len(findings):
        verdict = NOT_RUN
    else:
        verdict = HOLDS if counts[HOLDS] == len(findings) else UNDECIDED
    return Judgement(claim, verdict, tuple(findings), dict(counts))


def _pairs(statement: Statement, systems: Systems) -> dict[str, tuple[System, System]]:
    """By corpus, where both cells were tested; the paper's corpora alone."""
    found = {}
    for corpus in CORPORA:
        one, other = (systems.get((key, corpus, method)) for key, method in (statement.first, statement.second))
        if one is not None and other is not None:
            found[corpus] = (one, other)
    return found


def _compared(statement: Statement, pairs: Mapping[str, tuple[System, System]], level: float) -> Finding:
    missing = tuple(corpus for corpus in CORPORA if corpus not in pairs)
    if not pairs:
        return Finding(statement, NOT_RUN, "", missing=missing)
    lone = tuple(corpus for corpus, (system, _) in pairs.items() if not can_be_tested(system))
    testable = [pair for corpus, pair in pairs.items() if corpus not in lone]
    try:
        whole = compare(testable or list(pairs.values()), level=level)
        each = {corpus: difference(pair) for corpus, pair in pairs.items()}
    except ValueError:
        return Finding(statement, UNDECIDED, "no seed in common", missing=missing)
    except UserError as problem:
        return Finding(statement, UNDECIDED, str(problem), missing=missing)
    return Finding(statement, UNDECIDED, "", whole, each, missing, lone)


def _decided(finding: Finding) -> Finding:
    comparison = finding.comparison
    if comparison is None:
        return finding
    if comparison.interval is None:
        few = "too few test speakers: nothing is known of others"
        return replace(finding, reason="all speakers differ by the very same" if comparison.allows_interval else few)
    if len(comparison.seeds) < 2:
        return replace(finding, reason="one seed: nothing is known of other trainings")
    low, high = comparison.interval
    if finding.statement.kind == AT_LEAST:
        verdict = HOLDS if low >= -MARGIN else DOES_NOT if high < -MARGIN else UNDECIDED
        inside = low < -MARGIN <= high
        return replace(finding, verdict=verdict, reason="the interval holds the margin" if inside else "")
    verdict = HOLDS if low > 0 else DOES_NOT if high < 0 else UNDECIDED
    if verdict == UNDECIDED:
        return replace(finding, reason="the interval holds 0")
    if comparison.models_differ is False:
        return replace(finding, reason="the interval leaves 0 out, the corrected permutation test does not")
    return replace(finding, verdict=verdict)
