"""Data sheet of corpora: the questions of Gebru et al. ("Datasheets for Datasets", 2021), answered from the records.

Answers come from the record of a corpus and from its clips. A question that neither answers says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from affetto.corpora.amounts import amount
from affetto.corpora.annotation_facts import annotation_facts
from affetto.corpora.corpus import Corpus
from affetto.corpora.licences import allows_commercial_use
from affetto.corpora.manifest import Clip, Manifest, Origin
from affetto.corpora.registry import CORPORA

UNKNOWN = "Not known to affetto."
_HEAD = """# Data sheet of the training corpora

Questions after Gebru et al., "Datasheets for Datasets", Communications of the ACM 64(12), 2021. The answers come from
what affetto knows of each corpus and from the clips that were read; they do not replace the corpus's own documents.
"""
_COMMERCIAL = {True: "allowed", False: "not allowed", None: "not known"}
_USES = (
    "Training and testing of speech emotion recognition. Emotions that people act or name are not what people feel. "
    "What is learned from this corpus may fail for other languages, ages, accents, microphones and ways of speaking. "
    "The law restricts emotion recognition: see the card of the model."
)


def datasheet(corpora: Iterable[tuple[Manifest, str]]) -> str:
    """Write the sheet, in Markdown, of these corpora; with each its role, such as `trained and tested`."""
    parts = [_sheet(manifest, origin, role) for manifest, role in corpora for origin in manifest.origins]
    return "\n".join([_HEAD, *parts])


def _sheet(manifest: Manifest, origin: Origin, role: str) -> str:
    if manifest.joined:
        manifest = manifest.only(lambda clip: clip.corpus == origin.corpus)
    clips = manifest.clips
    record = CORPORA.get(origin.key)
    published = None if record is None or record.is_format else record
    title = origin.corpus if published is None else f"{published.title} (`{origin.corpus}`)"
    warning = "\n**Synthetic speech of affetto in the layout of this corpus, not the corpus.**\n" * origin.synthetic
    answers = {
        "Why and by whom was it made?": _cited(published),
        "What are the instances?": _composition(clips, role),
        "Who speaks, and in which language?": _speakers(clips, published),
        "How was the speech collected: acted, elicited or natural?": _collection(published),
        "Who labelled it, and how?": _labels(manifest),
        "Did people consent, and was there an ethical review?": UNKNOWN,
        "For which uses is it meant, and for which not?": _USES,
        "How is it distributed, under which licence?": _distribution(origin, published),
        "Who maintains it?": UNKNOWN if published is None else f"{UNKNOWN} Ask its source.",
    }
    lines = [f"**{question}** {answer}\n" for question, answer in answers.items()]
    return "\n".join([f"## {title}\n{warning}", *lines])


def _cited(record: Corpus | None) -> str:
    if record is None:
        return "A collection of the user's own. " + UNKNOWN
    return record.citation or UNKNOWN


def _composition(clips: Sequence[Clip], role: str) -> str:
    labels = Counter(clip.emotion for clip in clips if clip.emotion)
    counts = ", ".join(f"{label} {count:,}" for label, count in labels.most_common())
    prompts = len({clip.sentence or clip.prompt for clip in clips if clip.sentence or clip.prompt})
    parts = [
        f"{amount(len(clips), 'recording')} of speech, {role}.",
        f"Labels: {counts}." if counts else "No single labels.",
    ]
    words = amount(prompts, "different sentence or prompt", "different sentences or prompts")
    parts.append(f"{words}." if prompts else "Sentences are not known.")
    return " ".join(parts)


def _speakers(clips: Sequence[Clip], record: Corpus | None) -> str:
    genders = Counter(
        gender or "of unknown gender" for gender in {clip.speaker: clip.gender for clip in clips}.values()
    )
    shares = ", ".join(f"{count:,} {gender}" for gender, count in genders.most_common())
    language = record.language if record is not None and record.language else "not known"
    speakers = amount(len({clip.speaker for clip in clips}), "speaker")
    return f"{speakers} ({shares}). Language: {language}. Ages: not known."


def _collection(record: Corpus | None) -> str:
    if record is None or not record.speech:
        return UNKNOWN
    return f"{record.speech.capitalize()}. {record.collection}".rstrip()


def _labels(manifest: Manifest) -> str:
    facts = annotation_facts(manifest)
    if facts is None:
        return "Each clip has one label, without the answers of single raters."
    parts = []
    if facts["ratings"]:
        mean = facts["ratings_per_clip"]["mean"]
        raters = f" by {facts['raters']:,} raters" if facts["raters"] else ""
        parts.append(f"{facts['ratings']:,} answers{raters} on {facts['rated_clips']:,} clips, {mean:.1f} a clip.")
    if facts["clips_with_several_labels"]:
        parts.append(f"{facts['clips_with_several_labels']:,} clips have several labels.")
    if facts["dimensions"]:
        parts.append(f"Dimensions: {', '.join(facts['dimensions'])}.")
    return " ".join(parts)


def _distribution(origin: Origin, record: Corpus | None) -> str:
    source = record.source if record is not None and record.source else "not known"
    use = "–" if origin.synthetic else _COMMERCIAL[allows_commercial_use(origin.licence)]
    return f"Licence: {origin.licence or 'not known'}. Commercial use: {use}. Source: {source}."
