"""Requests that no honest client would send, byte for byte, with the words that may answer each."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from serving.hostile import SOUND, encoded

PREDICT, TIMELINE = "/v1/predict", "/v1/timeline"
ANSWERED, CUT_OFF = "", "cut off"
"""Beside the words of refusals: a status of 200; a connection that is closed without an answer."""
CLIP = encoded(SOUND)
BOUNDARY = "x"
NAMES = (
    "../../../etc/passwd",
    "..\\..\\windows\\system32\\x.wav",
    "/etc/passwd",
    "C:\\con.wav",
    ".",
    "..",
    "",
    " ",
    "con.wav",
    "a\x00b.wav",
    "%00.wav",
    "%2e%2e%2fx",
    "感情.wav",
    "😀" * 50,
    "\u202egnp.wav",
    "e\u0301.wav",
    "x" * 3000,
    "$(id).wav",
    "`id`.wav",
    "';--.wav",
    "<script>.wav",
    "{0.__class__}.wav",
    "a;b=c.wav",
    "~/.ssh/id",
    "file:///etc/passwd",
)
CHARSETS = ("undefined", "hex", "idna", "punycode", "utf-16", "utf-7", "zlib", "rot13", "unicode_escape", "x" * 500, "")


@dataclass(frozen=True)
class Request:
    """`content` is all that goes over the connection; `allowed` are words of refusals, ANSWERED or CUT_OFF."""

    name: str
    content: bytes
    allowed: tuple[str, ...]


def requests() -> Iterator[Request]:
    """Some 200 of them, the same on every call."""
    yield from names()
    yield from forms()
    yield from spoilt_forms()
    yield from types()
    yield from lengths()
    yield from chunks()
    yield from lines()


def post(path: str, kind: str | None, body: bytes, *headers: str, length: str | None = None) -> bytes:
    """A request with its body; `length` is what it says of it, by default the truth."""
    head = [f"POST {path} HTTP/1.1", "Host: x", *([] if kind is None else [f"Content-Type: {kind}"]), *headers]
    head += [f"Content-Length: {len(body) if length is None else length}"] * (length != "none")
    return "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape") + body


def part(content: bytes, *headers: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*headers, "")).encode() + content


def file(name: str = "a.wav", field: str = "file", content: bytes = CLIP) -> bytes:
    return part(content, f'Content-Disposition: form-data; name="{field}"; filename="{name}"')


def field(name: str, value: str) -> bytes:
    return part(value.encode(), f'Content-Disposition: form-data; name="{name}"')


def joined(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    return b"".join(f"--{boundary}\r\n".encode() + one + b"\r\n" for one in parts) + f"--{boundary}--\r\n".encode()


def form(body: bytes, path: str = PREDICT, says: str = f"multipart/form-data; boundary={BOUNDARY}") -> bytes:
    return post(path, says, body)


def names() -> Iterator[Request]:
    for n, name in enumerate(NAMES):
        yield Request(f"called {name[:20]!r}", form(joined(file(name)), (PREDICT, TIMELINE)[n % 2]), (ANSWERED,))
    for star in ("utf-8''%ff%fe.wav", "utf-16''x", "''", "undefined''x.wav", "utf-8'en'..%2f..%2fx"):
        disposition = f'Content-Disposition: form-data; name="file"; filename*={star}'
        yield Request(f"called by {star}", form(joined(part(CLIP, disposition))), (ANSWERED, "no_file", "broken_form"))


def forms() -> Iterator[Request]:
    no_file, broken = ("no_file",), ("broken_form",)
    for name, parts, allowed in (
        ("no part", [], ("no_file", "broken_form")),
        ("no file", [field("model", "a")], no_file),
        ("a text as file", [field("file", "text")], no_file),
        ("a long text as file", [field("file", "x" * 5000)], broken),
        ("another name", [file(field="audio")], no_file),
        ("two files", [file(), file()], broken),
        ("two names", [file(), file(field="other")], broken),
        ("an empty file", [file(content=b"")], ("unusable_audio",)),
        ("no name", [part(CLIP, 'Content-Disposition: form-data; filename="a.wav"')], broken),
        ("no disposition", [part(CLIP, "Content-Type: audio/wav")], broken),
        ("no header", [part(CLIP)], broken),
        ("a header without a colon", [part(CLIP, "Content-Disposition form-data")], broken),
        (
            "an attachment",
            [part(CLIP, 'Content-Disposition: attachment; name="file"; filename="a"')],
            (ANSWERED, "no_file"),
        ),
        ("many fields", [*(field(f"f{n}", "x") for n in range(1000)), file()], broken),
        ("a long field", [field("model", "a" * 2000), file()], broken),
        ("a long name of a field", [field("m" * 5000, "a"), file()], (ANSWERED, "broken_form")),
        ("many headers", [part(CLIP, *(f"X-{n}: y" for n in range(1000)))], broken),
        ("a long header", [part(CLIP, "X: " + "y" * 50_000)], ("broken_form", "too_large")),
        ("an unknown model", [field("model", "../a"), file()], ("unknown_model",)),
        ("a model called NUL", [field("model", "\0"), file()], ("unknown_model",)),
        ("a model in Chinese", [field("model", "感情" * 100), file()], ("unknown_model",)),
        ("two models", [field("model", "a"), field("model", "b"), file()], (ANSWERED, "unknown_model")),
        (
            "base64",
            [
                part(
                    b"UklGRg==",
                    'Content-Disposition: form-data; name="file"; filename="a"',
                    "Content-Transfer-Encoding: base64",
                )
            ],
            ("not_audio", "broken_form"),
        ),
        (
            "a form in a form",
            [
                part(
                    joined(file(), boundary="y"),
                    "Content-Type: multipart/mixed; boundary=y",
                    'Content-Disposition: form-data; name="file"; filename="a"',
                )
            ],
            ("not_audio",),
        ),
    ):
        yield Request(f"a form with {name}", form(joined(*parts)), allowed)
    for charset in CHARSETS:
        says = f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"
        body = joined(field("model", "a\u00ff-b--"), file("\u00ff-9.wav"))
        yield Request(
            f"a form in {charset[:20]!r}", form(body, says=says), (ANSWERED, "unknown_model", "broken_form", "no_file")
        )


def spoilt_forms() -> Iterator[Request]:
    whole, any_form = joined(field("model", "a"), file()), ("no_file", "broken_form")
    yield Request("a form without its end", form(whole[:-7]), (*any_form, ANSWERED))
    yield Request("a form with bare line feeds", form(whole.replace(b"\r\n", b"\n")), any_form)
    yield Request("a form before a text", form(whole + b"text" * 100), (ANSWERED, "broken_form"))
    yield Request("a form behind a text", form(b"text\r\n" + whole), (ANSWERED, *any_form))
    yield Request("a form of line feeds", form(b"\r\n" * 5000), any_form)
    yield Request("a form of dashes", form(b"-" * 5000), any_form)
    yield Request("a form of boundaries", form(b"--x\r\n" * 5000), any_form)
    for said in (
        "",
        "; boundary",
        "; boundary=",
        '; boundary=""',
        "; boundary=y",
        f"; boundary={'x' * 5000}",
        '; boundary="x',
        "; boundary=\udcff",
        "; boundary=x; boundary=y",
        "; boundary*=utf-8''x",
        "; boundary=\t",
        '; boundary="x\\"',
    ):
        allowed = (ANSWERED, *any_form)
        yield Request(f"a form that says {said[:20]!r}", form(whole, says=f"multipart/form-data{said}"), allowed)
    anything = (ANSWERED, *any_form, "unknown_model", "not_audio", "unusable_audio", "too_long")
    for n in range(1, 20):
        yield Request(f"{n}/20 of a form", form(whole[: len(whole) * n // 20]), anything)
    random = np.random.default_rng(1)
    for n in range(20):
        spoilt, most = bytearray(whole), len(whole) if n % 2 else 200
        for at in random.integers(0, most, 8):
            spoilt[at] = random.integers(256)
        yield Request(f"a form overwritten, {n}", form(bytes(spoilt), (PREDICT, TIMELINE)[n % 2]), anything)


def types() -> Iterator[Request]:
    wrong = ("wrong_content_type",)
    for kind in (
        "text/plain",
        "application/json",
        "image/png",
        "multipart/mixed; boundary=x",
        "multipart/form-data2",
        "audio",
        "x" * 5000,
        "\udcff\udcfe",
        "audioo/wav",
        ".;",
        "*/*",
        "application/zip",
        "../audio/wav",
    ):
        yield Request(f"sent as {kind[:20]!r}", post(PREDICT, kind, CLIP), wrong)
    for kind in (None, "", ";", "audio/", 'AUDIO/WAV; x="', "audio/x; charset=undefined", "video/mp4", "audio/midi"):
        yield Request(f"sent as {kind!r}", post(TIMELINE, kind, CLIP), (ANSWERED,))
    packed = post(PREDICT, "audio/wav", gzip.compress(CLIP), "Content-Encoding: gzip")
    yield Request("packed", packed, ("not_audio",))
    urlencoded = post(PREDICT, "application/x-www-form-urlencoded", b"file=%52%49%46%46&model=a")
    yield Request("a web form", urlencoded, ("not_audio",))


def lengths() -> Iterator[Request]:
    raw = "audio/wav"
    yield Request("less said than sent", post(PREDICT, raw, CLIP, length="1000"), ("unusable_audio",))
    yield Request("nothing said", post(PREDICT, raw, CLIP, length="0"), ("unusable_audio",))
    yield Request("no length", post(PREDICT, raw, CLIP, length="none"), ("unusable_audio",))
    yield Request("more said than sent", post(PREDICT, raw, CLIP, length=str(len(CLIP) + 1)), ("too_slow",))
    yield Request("more said of a form", form(joined(file())).replace(b"Length: 2", b"Length: 3"), ("too_slow",))
    yield Request("far more said", post(TIMELINE, raw, CLIP, length="1" + "0" * 17), ("too_large",))
    for length in ("-1", "abc", "1e3", "+5", "0x10", "1 0", "1" * 30, "1,2", "", "\u0661"):
        yield Request(f"a length of {length[:10]!r}", post(PREDICT, raw, CLIP, length=length), ("broken_request",))
    twice = post(PREDICT, raw, CLIP, "Content-Length: 5")
    yield Request("two lengths", twice, ("broken_request",))


def chunks() -> Iterator[Request]:
    half = len(CLIP) // 2

    def chunked(*lines: bytes, path: str = PREDICT, coding: str = "chunked", end: bytes = b"0\r\n\r\n") -> bytes:
        return post(path, "audio/wav", b"".join(lines) + end, f"Transfer-Encoding: {coding}", length="none")

    def chunk(content: bytes, extra: str = "") -> bytes:
        return f"{len(content):x}{extra}\r\n".encode() + content + b"\r\n"

    two = (chunk(CLIP[:half]), chunk(CLIP[half:]))
    yield Request("in chunks", chunked(*two, path=TIMELINE), (ANSWERED,))
    yield Request("in bytes", chunked(*(chunk(CLIP[n : n + 1]) for n in range(2000))), ("unusable_audio",))
    yield Request("chunks with extras", chunked(*(chunk(CLIP, ";a=b"),)), (ANSWERED,))
    yield Request("no chunk", chunked(), ("unusable_audio",))
    yield Request("chunks and a trailer", chunked(*two, end=b"0\r\nX: y\r\n\r\n"), (ANSWERED,))
    yield Request("chunks without an end", chunked(*two, end=b""), ("too_slow",))
    yield Request("a chunk that is not there", chunked(*two, end=b"fffff\r\n"), ("too_slow", "too_large"))
    for size in (b"zz", b"-1", b"f" * 30, b"0x5", b"", b"\xff"):
        yield Request(f"a chunk of {size!r}", chunked(chunk(CLIP[:half]), end=size + b"\r\n"), ("broken_request",))
    yield Request("a chunk that is longer", chunked(b"5\r\nRIFFxxxxx\r\n"), ("broken_request",))
    for coding in ("gzip", "gzip, chunked", "identity", "xchunked"):
        yield Request(f"a coding of {coding}", chunked(*two, coding=coding), ("broken_request",))
    both = post(PREDICT, "audio/wav", chunk(CLIP) + b"0\r\n\r\n", "Transfer-Encoding: chunked", length="5")
    yield Request("a length and chunks", both, (ANSWERED, "broken_request"))


def lines() -> Iterator[Request]:
    """Lines and headers that are no HTTP, and addresses that nobody should ask for."""
    broken, method, missing = ("broken_request",), ("wrong_method",), ("not_found",)
    heads: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("nonsense", broken),
        ("GET", broken),
        ("GET / HTTP/9.9\r\nHost: x", missing),
        ("GET / HTTP/1.1", broken),
        ("PRI * HTTP/2.0\r\n\r\nSM", missing),
        ("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + "\0" * 300, broken),
        ("\xff" * 500, broken),
        ("GET /\xe9 HTTP/1.1\r\nHost: x", broken),
        ("GET /\0 HTTP/1.1\r\nHost: x", broken),
    )
    for said in ("Host: y", "no colon", "A: \0", "A : y", "A: b\rc", "\xff: y", ": y"):
        heads += ((f"GET / HTTP/1.1\r\nHost: x\r\n{said}", broken),)
    for asked, allowed in (
        ("PUT /v1/predict", method),
        ("DELETE /v1/models", method),
        ("FOO /v1/timeline", method),
        ("OPTIONS /v1/predict", method),
        ("GET /../../etc/passwd", missing),
        ("GET /%2e%2e/etc", missing),
        ("GET /v1/models%00", missing),
        ("GET //evil.example/", missing),
        ("GET http://evil.example/x", missing),
        ("GET /%ff%fe", missing),
        (f"GET /{'x' * 20_000}", missing),
        ("TRACE /", missing),
    ):
        heads += ((f"{asked} HTTP/1.1\r\nHost: x", allowed),)
    heads += (("GET /v1/predict HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket", method),)
    for head, allowed in heads:
        yield Request(f"the head {head[:30]!r}", head.encode("latin-1") + b"\r\n\r\n", allowed)
    for head in ("GET / HTTP/1.1\r\nHost: x\r\n", "POST", ""):
        yield Request(f"the unfinished head {head!r}", head.encode(), (CUT_OFF,))
    unknown, invalid = ("unknown_model",), ("invalid_parameter",)
    for query, allowed in (
        ("b", unknown),
        ("%00", unknown),
        ("..%2f..%2fa", unknown),
        ("%ff%fe", unknown),
        ("a&model=b", unknown),
        ("{0}", unknown),
        ("%F0%9F%98%80" * 40, unknown),
        ("x" * 201, invalid),
        ("x" * 9000, invalid),
        ("&a=b", invalid),
        ("a%26", unknown),
    ):
        yield Request(f"the query {query[:20]}", post(f"{PREDICT}?model={query}", "audio/wav", CLIP), allowed)
    many = "\r\n".join(f"X-{n}: y" for n in range(800))
    for name, header in (("many headers", many), ("an id", "X-Request-ID: \x7f")):
        yield Request(name, post(PREDICT, "audio/wav", CLIP, header), (ANSWERED, "broken_request"))
