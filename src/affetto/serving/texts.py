"""Texts of the page, in English and Italian."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Texts:
    """All words of the page in one language."""

    code: str
    name: str
    title: str
    lead: str
    lead_dimensions: str
    model: str
    recording: str
    button: str
    emotions: str
    several: str
    none_applies: str
    dimensions: str
    interval: str
    path: str
    timeline: str
    timeline_none: str
    nothing: str
    synthetic: str
    abstained: str
    careful: str
    """Heading of the cautions."""
    cautions: dict[str, str]
    """Names of the cautions."""
    label_set: str
    novel: str
    familiar: str
    no_speech: str
    speech: str
    lacks: str
    summary: str
    forbidden_use: str
    unclear_use: str
    notices: str
    """Name of the control that shows the notice in the other languages."""
    limits_title: str
    limits: str
    labels: dict[str, str]
    names: dict[str, str]
    """Names of dimensions."""
    problems: dict[str, str]


ENGLISH = Texts(
    code="en",
    name="English",
    title="Emotion in speech",
    lead="Record your voice or choose a file: a model tells which emotion it hears, and how sure it is.",
    lead_dimensions="Record your voice or choose a file: a model estimates how it sounds, in numbers.",
    model="Model",
    recording="Recording",
    button="Listen",
    emotions="Probabilities",
    several="Labels",
    none_applies="The model finds no label probable enough.",
    dimensions="Dimensions",
    interval="Shaded: for about {level:.0%} of the validation clips the true value was this near.",
    path="The line goes through the recording, from the open circle to the full one.",
    timeline="Over time",
    timeline_none="no speech was found in this recording",
    nothing="Record something or choose a file first.",
    synthetic="This model was trained on synthetic speech: it shows how the page works, nothing about people.",
    abstained="The model is not sure enough to name an emotion.",
    careful="With care",
    cautions={
        "set": "All emotions that it may be",
        "novelty": "No answer to what is unlike the training recordings",
        "speech": "No answer where nobody speaks",
    },
    label_set="It may be: <b>{labels}</b>. Such lists are made to hold the right emotion of {level:.0%} of recordings.",
    novel=(
        "<b>No answer</b>: this recording is unlike those that the model learned from. Of recordings by speakers whom "
        "it did not know, {share:.1%} were more like them."
    ),
    familiar="Of recordings by speakers whom the model did not know, {share:.1%} were more like what it learned from.",
    no_speech="<b>No answer</b>: {seconds:.1f} s of speech were found, and {least:.1f} s are needed.",
    speech="{seconds:.1f} s of it are speech.",
    lacks="This model cannot do: {cautions}.",
    summary="{seconds:.1f} s heard by {model}",
    forbidden_use="The model was trained on data that is not for commercial use: {corpora}.",
    unclear_use="It is not known whether the model's training data may be used commercially: {corpora}.",
    notices="Other languages",
    limits_title="What this can and cannot do",
    limits=(
        "The model learned from recordings of other people, whose emotions were acted or judged by listeners. What "
        "people feel is not what they show, and everyday speech differs from such recordings, as do other languages, "
        "ages, microphones and rooms. A probability is the model's, not the truth. **Do not base decisions about "
        "people on it.** In the European Union the AI Act "
        "(Regulation 2024/1689, article 5(1)(f)) prohibits systems that infer emotions at the workplace and in "
        "education, except for medical or safety reasons. Recordings are processed on the server that runs this page "
        "and deleted within minutes."
    ),
    labels={},
    names={},
    problems={},
)

ITALIAN = Texts(
    code="it",
    name="Italiano",
    title="Emozioni nel parlato",
    lead="Registra la tua voce o scegli un file: un modello dice quale emozione sente, e con quale sicurezza.",
    lead_dimensions="Registra la tua voce o scegli un file: un modello stima come suona, in numeri.",
    model="Modello",
    recording="Registrazione",
    button="Ascolta",
    emotions="Probabilità",
    several="Etichette",
    none_applies="Per il modello nessuna etichetta è abbastanza probabile.",
    dimensions="Dimensioni",
    interval="In ombra: per circa il {level:.0%} delle clip di validazione il valore vero era così vicino.",
    path="La linea attraversa la registrazione, dal cerchio vuoto a quello pieno.",
    timeline="Nel tempo",
    timeline_none="in questa registrazione non è stato trovato parlato",
    nothing="Prima registra qualcosa o scegli un file.",
    synthetic="Questo modello è stato addestrato su parlato sintetico: mostra come funziona la pagina, nulla di più.",
    abstained="Il modello non è abbastanza sicuro per nominare un'emozione.",
    careful="Con cautela",
    cautions={
        "set": "Tutte le emozioni possibili",
        "novelty": "Nessuna risposta a ciò che è diverso dalle registrazioni di addestramento",
        "speech": "Nessuna risposta se nessuno parla",
    },
    label_set=(
        "Può essere: <b>{labels}</b>. Elenchi così sono fatti per contenere l'emozione giusta nel {level:.0%} delle "
        "registrazioni."
    ),
    novel=(
        "<b>Nessuna risposta</b>: questa registrazione è diversa da quelle da cui il modello ha imparato. Delle "
        "registrazioni di persone che non conosceva, il {share:.1%} era più simile a quelle."
    ),
    familiar="Delle registrazioni di persone che il modello non conosceva, il {share:.1%} era più simile a quelle.",
    no_speech="<b>Nessuna risposta</b>: trovati {seconds:.1f} s di parlato, ne servono {least:.1f}.",
    speech="{seconds:.1f} s sono parlato.",
    lacks="Questo modello non lo può fare: {cautions}.",
    summary="{seconds:.1f} s ascoltati da {model}",
    forbidden_use="Il modello è stato addestrato su dati non destinati all'uso commerciale: {corpora}.",
    unclear_use="Non è noto se i dati di addestramento del modello consentano l'uso commerciale: {corpora}.",
    notices="Altre lingue",
    limits_title="Che cosa può e non può fare",
    limits=(
        "Il modello ha imparato da registrazioni di altre persone, le cui emozioni erano recitate o giudicate da chi "
        "le ascoltava. Ciò che le persone provano non è ciò che mostrano, e il parlato di ogni giorno è diverso da "
        "tali registrazioni, come lo sono altre lingue, età, microfoni e stanze. Una probabilità è "
        "del modello, non è la verità. **Non basare su di essa decisioni che riguardano persone.** Nell'Unione europea "
        "il regolamento sull'IA (2024/1689, articolo 5, paragrafo 1, lettera f) vieta i sistemi che inferiscono le "
        "emozioni sul luogo di lavoro e nell'istruzione, salvo motivi medici o di sicurezza. Le registrazioni sono "
        "elaborate sul server che ospita questa pagina e cancellate entro pochi minuti."
    ),
    labels={
        "anger": "rabbia",
        "disgust": "disgusto",
        "fear": "paura",
        "joy": "gioia",
        "neutrality": "neutralità",
        "sadness": "tristezza",
        "surprise": "sorpresa",
    },
    names={"arousal": "attivazione", "valence": "valenza", "dominance": "dominanza"},
    problems={
        "not_audio": "Il file non è un audio che si possa leggere: convertilo in wav o flac.",
        "unusable_audio": "La registrazione è rovinata, vuota o troppo corta.",
        "too_long": "La registrazione è troppo lunga per questo server.",
        "too_large": "Il file è troppo grande per questo server.",
        "queue_full": "Il server è occupato: riprova tra poco.",
        "client_queue_full": "Hai già troppe registrazioni in elaborazione: riprova tra poco.",
        "timed_out": "Il server ci ha messo troppo: riprova, o con una registrazione più breve.",
        "no_upload": "La registrazione non c'è più: registrala o sceglila di nuovo.",
    },
)

LANGUAGES = {texts.code: texts for texts in (ENGLISH, ITALIAN)}
