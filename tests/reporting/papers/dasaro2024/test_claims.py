"""The paper's claims: true of its own table, and judged on made-up systems whose answer is known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from affetto.reporting.papers.dasaro2024.claims import AT_LEAST, CLAIMS, MARGIN, Claim, Statement
from affetto.reporting.papers.dasaro2024.judging import DOES_NOT, HOLDS, NOT_RUN, UNDECIDED, judge
from affetto.reporting.papers.dasaro2024.numbers import CORPORA, TABLE_III
from affetto.reporting.stats.paired import compare
from affetto.reporting.stats.systems import System
from reporting.voices import drawn, system

BASE, WAVLM = "wav2vec2-base", "wavlm-base-plus"


def claim(*statements: Statement) -> Claim:
    return Claim(key="k", words="LoRA is better.", source="IV", statements=statements)


LORA = claim(Statement((BASE, "lora"), (BASE, "frozen")))
BOTH = claim(*LORA.statements, Statement((WAVLM, "lora"), (WAVLM, "frozen")))


def steady(speakers: int, wrong: int, corpus: str, *, clips: int = 12) -> System:
    """Of every speaker's clips the first `wrong` are wrong, and one more or less by speaker; two seeds alike."""
    truth = [n % 3 for n in range(clips)] * speakers
    missed = [n for s in range(speakers) for n in range(s * clips, s * clips + wrong + s % 2)]
    called = [(label + (n in set(missed))) % 3 for n, label in enumerate(truth)]
    return system(truth, {0: called, 1: called}, [f"s{n // clips:02d}" for n in range(len(truth))], corpus=corpus)


def systems(lora: int, frozen: int, speakers: int = 12, corpora: tuple[str, ...] = CORPORA):
    return {
        (BASE, corpus, method): steady(speakers, wrong, corpus)
        for corpus in corpora
        for method, wrong in (("lora", lora), ("frozen", frozen))
    }


def test_the_claims_are_true_of_the_paper_s_own_table():
    for claim in CLAIMS:
        for each in claim.statements:
            assert each.published > (-MARGIN if each.kind == AT_LEAST else 0), (claim.key, each)
    assert pytest.approx(0.0197) == MARGIN
    lora = dict(zip((s.first for s in CLAIMS[0].statements), CLAIMS[0].statements, strict=True))
    assert lora["whisper-small", "lora"].published == pytest.approx(0.0384)


def test_the_claims_cover_what_they_say():
    counts = {claim.key: len(claim.statements) for claim in CLAIMS}
    assert counts == {
        "lora-above-frozen": 5,
        "adapter-below-frozen": 8,
        "english-at-least-multilingual": 3 * 2 * 2,
        "english-at-least-specialised": 3 * 2 * 2,
        "b-below-a": 3 * 2,
        "lora-below-frozen-in-b": 3,
        "large-first": 8,
    }
    for claim in CLAIMS:
        assert len(set(claim.statements)) == len(claim.statements)
        assert all(cell in TABLE_III for each in claim.statements for cell in (each.first, each.second))
    up = {s.first for s in CLAIMS[1].statements if s.first[1] == "adapter"}
    assert up == {(WAVLM, "adapter")}


def test_nothing_run_is_not_run():
    for judgement in judge({}):
        assert judgement.verdict == NOT_RUN and judgement.counts == {NOT_RUN: len(judgement.claim.statements)}
    finding = judge({}, [LORA])[0].findings[0]
    assert (finding.first, finding.second) == ("Wav2Vec 2.0 Base (A), lora", "Wav2Vec 2.0 Base (A), frozen")
    assert finding.missing == CORPORA and finding.comparison is None


@pytest.mark.parametrize(("lora", "frozen", "verdict"), [(2, 6, HOLDS), (6, 2, DOES_NOT), (4, 4, UNDECIDED)])
def test_verdicts_from_ten_speakers_on(lora, frozen, verdict):
    (judgement,) = judge(systems(lora, frozen), [LORA])
    (finding,) = judgement.findings
    assert judgement.verdict == finding.verdict == verdict
    assert finding.comparison.p is not None and finding.comparison.speakers == dict.fromkeys(CORPORA, 12)
    assert np.sign(finding.comparison.difference) == np.sign(frozen - lora)
    assert list(finding.by_corpus) == list(CORPORA) and not finding.missing
    assert finding.comparison.difference == pytest.approx(np.mean(list(finding.by_corpus.values())))


def test_few_speakers_are_judged_by_their_t_interval_alone():
    for accuracies, verdict in (((0.95, 0.4), HOLDS), ((0.62, 0.6), UNDECIDED)):
        one, other = (drawn(6, a, n, spread=0.05, seeds=2) for n, a in enumerate(accuracies))
        found = {(BASE, "emovo", "lora"): one, (BASE, "emovo", "frozen"): other}
        (finding,) = judge(found, [LORA])[0].findings
        assert finding.comparison.interval == compare([(one, other)]).interval is not None
        assert finding.verdict == verdict and finding.comparison.p is None
        assert finding.missing == ("emozionalmente", "demos")
        assert finding.by_corpus == {"emovo": pytest.approx(finding.comparison.difference)}


@pytest.mark.parametrize("speakers", [1, 2])
def test_a_corpus_with_too_few_test_speakers_is_left_out_of_the_verdict_and_shown(speakers):
    found = systems(1, 8, corpora=("emozionalmente", "demos")) | systems(8, 1, speakers=speakers, corpora=("emovo",))
    (finding,) = judge(found, [LORA])[0].findings
    assert (finding.verdict, finding.excluded, finding.missing) == (HOLDS, ("emovo",), ())
    assert finding.comparison.corpora == ("emozionalmente", "demos")
    assert finding.by_corpus["emovo"] < 0 < finding.by_corpus["demos"]


def test_one_seed_decides_nothing_about_a_method():
    two = systems(2, 6)
    first = {key: System(each.name, each.corpus, {0: each.runs[0]}) for key, each in two.items()}
    (finding,) = judge(first, [LORA])[0].findings
    assert (finding.verdict, finding.comparison.interval[0] > 0, finding.comparison.models_differ) == (
        UNDECIDED,
        True,
        True,
    )
    assert finding.reason.startswith("one seed")


def test_one_test_speaker_in_all_leaves_it_undecided():
    (finding,) = judge(systems(1, 8, speakers=1, corpora=("emovo",)), [LORA])[0].findings
    assert finding.verdict == UNDECIDED and finding.reason.startswith("too few test speakers")
    assert finding.comparison.difference > 0 and finding.comparison.interval is None


def test_intervals_are_widened_for_the_statements_that_were_tested():
    one = judge(systems(4, 5), [BOTH])[0]
    assert [each.verdict for each in one.findings].count(NOT_RUN) == 1 and one.findings[0].comparison.level == 0.95
    found = systems(2, 6)
    found |= {(WAVLM, corpus, method): each for (_, corpus, method), each in found.items()}
    two = judge(found, [BOTH])[0]
    assert {each.comparison.level for each in two.findings} == {0.975} and two.verdict == HOLDS
    assert [each.comparison.family for each in two.findings] == [2, 2]


def test_one_statement_that_fails_fails_the_claim_and_one_untested_leaves_it_open():
    half = judge(systems(2, 6), [BOTH])[0]
    assert half.verdict == UNDECIDED and Counter(half.counts) == {HOLDS: 1, NOT_RUN: 1}
    turned = systems(6, 2)
    found = systems(2, 6) | {(WAVLM, corpus, method): each for (_, corpus, method), each in turned.items()}
    assert judge(found, [BOTH])[0].verdict == DOES_NOT


def test_at_least_holds_within_the_margin_of_nothing():
    at_least = claim(Statement((BASE, "frozen"), (WAVLM, "frozen"), AT_LEAST))

    def verdict(first: dict[str, System], second: dict[str, System]) -> str:
        found = {(BASE, corpus, "frozen"): each for corpus, each in first.items()}
        found |= {(WAVLM, corpus, "frozen"): each for corpus, each in second.items()}
        return judge(found, [at_least])[0].verdict

    same = {corpus: steady(12, 4, corpus) for corpus in CORPORA}
    worse = {corpus: steady(12, 8, corpus) for corpus in CORPORA}
    assert (verdict(same, same), verdict(same, worse), verdict(worse, same)) == (HOLDS, HOLDS, DOES_NOT)
    noisy = {corpus: drawn(12, 0.6, 5, seeds=2, corpus=corpus) for corpus in CORPORA}
    other = {corpus: drawn(12, 0.6, 6, seeds=2, corpus=corpus) for corpus in CORPORA}
    assert verdict(noisy, other) == UNDECIDED


def test_what_cannot_be_compared_is_undecided_and_told():
    found = {(BASE, "emovo", "lora"): drawn(6, 0.6, 1), (BASE, "emovo", "frozen"): drawn(5, 0.6, 1)}
    (finding,) = judge(found, [LORA])[0].findings
    assert finding.verdict == UNDECIDED and "not tested on the same clips" in finding.reason
    one = drawn(6, 0.6, 1)
    found = {(BASE, "emovo", "lora"): one, (BASE, "emovo", "frozen"): System("f", "emovo", {5: one.runs[0]})}
    assert judge(found, [LORA])[0].findings[0].reason == "no seed in common"
