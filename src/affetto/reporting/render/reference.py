"""A publication as a record, and its entry in BibTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass

from affetto.reporting.render.latex import tex

_TITLED = re.compile(r'(?P<authors>.+?), "(?P<title>.+)", (?P<rest>.+)')
_UNTITLED = re.compile(r"(?P<authors>.+? and [^,]+|[^,]+ et al\.), (?P<rest>.+)")
_YEAR = re.compile(r",? ?\b((?:19|20)\d\d)\b(?![./]\d)")
_DOI = re.compile(r",? ?doi (10\.\S+)")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One entry of a list of references; a field that is not known is empty."""

    key: str
    title: str
    authors: str = ""
    """Family names, with ", " and " and " between them; or some and "et al."."""
    published: str = ""
    """Journal or conference, volume and pages."""
    year: str = ""
    doi: str = ""
    url: str = ""
    note: str = ""

    @classmethod
    def from_citation(cls, key: str, citation: str, *, title: str, url: str = "") -> Reference:
        """Parse a citation such as `Hu et al., "Title", ICLR 2022, doi 10.1/2`; without a title it gets `title`.

        A citation of another form stands whole in the note.

        >>> Reference.from_citation("x", 'Haq and Jackson, "A B", IGI Global 2010', title="").authors
        'Haq and Jackson'
        """
        match = _TITLED.fullmatch(citation) or _UNTITLED.fullmatch(citation)
        if match is None:
            return cls(key=key, title=title, url=url, note=citation)
        rest = match["rest"]
        doi, years = _DOI.search(rest), _YEAR.findall(rest)
        published = _YEAR.sub("", _DOI.sub("", rest)).strip(", ")
        return cls(
            key=key,
            title=match.groupdict().get("title") or title,
            authors=match["authors"],
            published=published,
            year=years[-1] if years else "",
            doi=doi[1] if doi else "",
            url=url,
        )

    def bibtex(self) -> str:
        """Entry of the type `misc`, which needs no field to be known."""
        fields = {
            "author": _authors(self.authors),
            "title": f"{{{tex(self.title)}}}",
            "howpublished": tex(self.published),
            "year": self.year,
            "doi": self.doi,
            "url": self.url,
            "note": tex(self.note),
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"]) + "\n"


def _authors(names: str) -> str:
    """Names as BibTeX separates them; a family name of several words stays together.

    >>> _authors("Busso et al."), _authors("Haq, Al Jad and Li")
    ('Busso and others', 'Haq and {Al Jad} and Li')
    """
    parts = re.split(r", | and ", names.replace(" et al.", ", others"))
    return " and ".join(f"{{{tex(part)}}}" if " " in part else tex(part) for part in parts if part)
