"""The guard before every request, alone: who is let through, with what body, under which policy."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re

import pytest

from affetto.serving import policies, routes
from affetto.serving.limits import Limits
from affetto.serving.middleware import Guard
from affetto.serving.routes import Route

LIMITS = Limits(max_megabytes=0.1, upload_seconds=0.2)
DOCUMENT = b"<html><head><script>one()</script></head><script src='a.js'></script><SCRIPT type=x>two</SCRIPT></html>"
PAGE = (Route("/"), *routes.page("en", lambda content: content + b"!"))


class App:
    """An application that has every path, and answers with what it was sent."""

    def __init__(self) -> None:
        self.scopes, self.bodies = [], []

    async def __call__(self, scope, receive, send) -> None:
        self.scopes.append(scope)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"access-control-allow-origin", b"*")]})
        await send({"type": "http.response.body", "body": DOCUMENT[:20], "more_body": True})
        await send({"type": "http.response.body", "body": DOCUMENT[20:]})


class Door:
    """`door("GET", "/path", Header="value")` → status, headers, body."""

    def __init__(self, limits: Limits = LIMITS, names=None, **options) -> None:
        self.app = App()
        self.guard = Guard(self.app, limits, names, **options)
        self.guard.routes += PAGE

    def __call__(self, method, path, *, chunks=(), ends=True, query=b"", **headers):
        sent = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        sent += [{"type": "http.request", "body": b""}] * ends
        if (chunks or not ends) and "Content_Length" not in headers:
            headers["Transfer_Encoding"] = "chunked"
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "client": ("198.51.100.7", 5),
            "headers": [(k.replace("_", "-").lower().encode(), v.encode()) for k, v in headers.items()],
        }
        answer = []

        async def receive():
            if not sent:
                await asyncio.sleep(3)
                return {"type": "http.disconnect"}
            return sent.pop(0)

        async def send(message):
            answer.append(message)

        asyncio.run(self.guard(scope, receive, send))
        start, *rest = answer
        named = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], named, b"".join(part.get("body", b"") for part in rest)


def error(answer) -> tuple[int, str]:
    status, _, body = answer
    return status, json.loads(body)["error"] if body.startswith(b"{") else "no refusal"


# -- paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/en",
        "/en/",
        "/en/assets/index-a_1.js",
        "/en/assets/a/b.css",
        "/en/static/js/x.min.js",
        "/en/theme.css",
        "/en/gradio_api/file=" + "0" * 32 + ".wav",
        "/en/gradio_api/queue/data",
        "/",
        "/openapi.json",
        "/healthz",
    ],
)
def test_what_a_page_needs_is_let_through(path):
    door = Door()
    assert door("GET", path)[0] == 200 and len(door.app.scopes) == 1
    assert error(door("DELETE", path)) == (405, "wrong_method") and len(door.app.scopes) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/en/gradio_api/file=http://elsewhere.example/x.png",
        "/en/gradio_api/file=/etc/passwd",
        "/en/gradio_api/file=../../etc/passwd",
        "/en/gradio_api/file=.ssh",
        "/en/assets/../x",
        "/en/assets/.x",
        "/en/assets/",
        "/en/assets//x",
        "/en/assets/a\n",
        "/en/theme.css/",
        "/en/themeXcss",
        "/en/config",
        "/en/gradio_api/run/x",
        "/en/gradio_api/process_recording",
        "/en/gradio_api/component_server",
        "/en/login",
        "/en/gradio_api/proxy=http://elsewhere.example",
        "//en/",
        "/EN/",
        "/it/",
        "/v1/predict/",
        "/docs",
        "",
    ],
)
def test_what_is_not_named_does_not_exist(path):
    door = Door()
    assert {error(door(method, path)) for method in ("GET", "HEAD", "POST", "OPTIONS")} == {(404, "not_found")}
    assert not door.app.scopes


def test_another_method_is_named_with_those_that_are_taken():
    status, headers, _ = Door()("POST", "/healthz")
    assert status == 405 and headers["allow"] == "GET, HEAD"


# -- bodies -------------------------------------------------------------------------------------------------------

EVERY = [
    ("POST", "/v1/predict"),
    ("POST", "/v1/timeline"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/en/gradio_api/upload"),
    ("POST", "/en/gradio_api/queue/join"),
    ("GET", "/v1/models"),
    ("GET", "/en/"),
    ("GET", "/healthz"),
]


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_every_body_has_a_limit_of_size_and_one_of_time(method, path):
    door = Door()
    takes_recording = method == "POST" and not path.endswith("join")
    most = 100_000 if takes_recording else routes.CALL_BYTES
    assert error(door(method, path, Content_Length=str(most + 20_000))) == (413, "too_large")
    assert error(door(method, path, chunks=[bytes(10_000)] * (most // 10_000 + 3))) == (413, "too_large")
    answer = door(method, path, chunks=[b"RIFF"], ends=False)
    assert error(answer) == (408, "too_slow") and answer[1]["connection"] == "close"
    assert door.app.bodies == []
    assert door(method, path, chunks=[bytes(1000), b"x"])[0] == 200
    assert door.app.bodies == [bytes(1000) + b"x" + b"!" * path.endswith("join")]


def test_a_page_is_asked_for_without_a_query():
    door = Door()
    door("GET", "/en/", query=b"deep_link=x", Accept_Encoding="br", X="y")
    assert door.app.scopes[0]["query_string"] == b"" and door.app.scopes[0]["headers"] == [(b"x", b"y")]
    door("GET", "/en/gradio_api/queue/data", query=b"session_hash=x")
    assert door.app.scopes[1]["query_string"] == b"session_hash=x"


# -- who asks -----------------------------------------------------------------------------------------------------


def test_a_server_of_this_machine_answers_at_its_own_names():
    door = Door(names={"127.0.0.1", "localhost", "::1", "mine"})
    for host in ("127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000", "mine"):
        assert door("GET", "/v1/models", Host=host)[0] == 200, host


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8000", "evil.example:127", "", "[x", "::1"])
def test_a_name_that_leads_here_from_elsewhere_is_refused(host):
    door = Door(names={"127.0.0.1", "localhost", "::1"})
    for path in ("/v1/predict", "/en/", "/healthz"):
        assert error(door("GET", path, Host=host)) == (403, "wrong_host") and not door.app.scopes
    assert Door()("GET", "/v1/models", Host=host)[0] == 200


@pytest.mark.parametrize(
    ("headers", "is_let"),
    [
        ({}, True),
        ({"Sec_Fetch_Site": "same-origin", "Origin": "https://public.example"}, True),
        ({"Sec_Fetch_Site": "none"}, True),
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Sec_Fetch_Site": "same-site", "Origin": "http://own:1"}, False),
        ({"Origin": "http://own:8000"}, True),
        ({"Origin": "http://own:8001"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://own:8000.evil.example"}, False),
    ],
)
def test_other_sites_make_a_browser_send_nothing(headers, is_let):
    door = Door()
    for path in ("/v1/predict", "/en/gradio_api/queue/join", "/en/gradio_api/upload"):
        answer = door("POST", path, Host="own:8000", **headers)
        assert answer[0] == 200 if is_let else error(answer) == (403, "cross_site")
    assert len(door.app.scopes) == 3 * is_let
    assert door("GET", "/en/", Host="own:8000", **headers)[0] == 200, "a link from elsewhere"


def test_a_path_is_the_same_with_the_root_path_and_without():
    door = Door(Limits(token="correct-horse"), root_path="/speech")
    for path in ("/speech/v1/models", "/v1/models", "/speech", "/speech/", "/"):
        assert error(door("GET", path)) == (401, "unauthorised"), path
        assert door("GET", path, Authorization="Bearer correct-horse")[0] == 200, path
    assert {scope["root_path"] for scope in door.app.scopes} == {"/speech"}
    assert [scope["path"] for scope in door.app.scopes] == ["/speech/v1/models"] * 2 + ["/speech/"] * 3
    assert door("GET", "/speech/healthz")[0] == 200
    for path in ("/speech/speech/v1/models", "/speechv1/models", "/speech/healthz/", "/speech//v1/models"):
        assert error(door("GET", path, Authorization="Bearer correct-horse")) == (404, "not_found"), path


def test_a_request_is_logged_with_the_name_of_its_token(tmp_path, caplog):
    (tmp_path / "tokens").write_text("ci correct-horse\nbattery-staple\n")
    door = Door(Limits(token_file=tmp_path / "tokens"))
    with caplog.at_level(logging.INFO, logger="affetto.server"):
        for token in ("correct-horse", "battery-staple", "correct-battery"):
            door("GET", "/v1/models", Authorization=f"Bearer {token}")
    events = [(record.facts["status"], record.facts.get("token_name")) for record in caplog.records]
    assert events == [(200, "ci"), (200, None), (401, None)]


def test_the_token_comes_before_what_there_is():
    door = Door(Limits(token="correct-horse"))
    paths = [route.path for route in door.guard.routes if not route.is_open]
    assert {error(door("GET", path)) for path in (*paths, "/nothing")} == {(401, "unauthorised")}
    assert door("GET", "/healthz")[0] == 200
    assert door("GET", "/v1/models", Authorization="Bearer correct-horse")[0] == 200
    basic = {name: f"Basic {base64.b64encode(name.encode()).decode()}" for name in ("me:correct-horse", "me:correct")}
    assert door("GET", "/en/", Authorization=basic["me:correct-horse"])[0] == 200
    assert error(door("GET", "/en/", Authorization=basic["me:correct"])) == (401, "unauthorised")
    others = ("correct-hors", "correct-horse1", "c", "", "Correct-Horse", "correct-horse, Bearer x")
    for value in (*(f"Bearer {other}" for other in others), "correct-horse", basic["me:correct-horse"]):
        assert error(door("GET", "/v1/models", Authorization=value)) == (401, "unauthorised"), value


# -- answers ------------------------------------------------------------------------------------------------------


def test_scripts_run_in_a_page_alone_and_only_those_it_was_sent_with():
    door = Door()
    _, headers, body = door("GET", "/en/")
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    scripts = policy["script-src"].split()
    assert body.startswith(b"<html><head><script>for (const name of") and body.endswith(DOCUMENT[12:])
    assert headers["content-length"] == str(len(body)) and "access-control-allow-origin" not in headers
    assert scripts[0] == "'self'" and len(scripts) == 4 and all(s.startswith("'sha256-") for s in scripts[1:])
    assert "'sha256-HR7iaask9daLMRRskMI++QeJtjWDOjyPA6lGzYGzKW4='" in scripts, "of one()"
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert not re.search(r"\*|http|unsafe-eval", headers["content-security-policy"])
    for path in ("/v1/models", "/en/assets/a.js", "/"):
        assert door("GET", path)[1]["content-security-policy"] == policies.ANSWER
    _, headers, _ = door("GET", "/en/gradio_api/file=x.wav")
    assert "sandbox" in headers["content-security-policy"] and headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "cache-control" not in door("GET", "/en/assets/a.js")[1]


def test_every_refusal_is_logged_with_who_asked(caplog):
    door = Door(Limits(token="correct-horse"), names={"own"})
    with caplog.at_level(logging.INFO, logger="affetto.server"):
        door("GET", "/nothing", Host="own")
        door("GET", "/openapi.json", Host="evil.example")
        door("GET", "/nothing", Host="own", Authorization="Bearer correct-horse")
        door("GET", "/openapi.json", Host="own", Authorization="Bearer correct-horse")
    facts = [record.facts for record in caplog.records if record.getMessage() == "request"]
    assert [(fact["status"], fact["error"]) for fact in facts] == [
        (401, "unauthorised"),
        (403, "wrong_host"),
        (404, "not_found"),
    ]
    assert {fact["client"] for fact in facts} == {"198.51.100.7"}


def test_a_client_that_leaves_within_its_body_is_no_defect(caplog):
    door = Door()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/en/gradio_api/queue/join",
        "headers": [(b"content-length", b"9")],
        "query_string": b"",
    }

    async def leave():
        return {"type": "http.disconnect"}

    with caplog.at_level(logging.INFO, logger="affetto.server"):
        asyncio.run(door.guard(scope, leave, None))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING] and not door.app.scopes
