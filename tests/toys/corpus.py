"""Lodge, a corpus that nobody published: two moods of three porters.

    LODGE/takes/<porter>-<mood>-<take>.wav      ada-gio-1.wav: Ada is glad, first take

All of it was written for a test and is in the public domain.
"""

from __future__ import annotations

from affetto.corpora.named_files import Naming, named_corpus

CORPUS = named_corpus(
    Naming(
        pattern=r"takes/(?P<speaker>[a-z]+)-(?P<emotion>gio|tri)-(?P<prompt>\d)\.wav",
        shape="takes/<porter>-<mood>-<take>.wav",
        example="takes/ada-gio-1.wav",
        emotions={"gio": "joy", "tri": "sadness"},
        speakers={"ada": "female", "bea": "female", "carlo": "male"},
    ),
    name="lodge",
    title="Lodge",
    licence="public domain",
    language="Italian",
    official={"joy": 6, "sadness": 6},
    protocol="loso",
    protocol_reason="three speakers",
    sentences={"1": "Buongiorno", "2": "Buonasera"},
)
