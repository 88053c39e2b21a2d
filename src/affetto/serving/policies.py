"""Content-Security-Policy of each kind of answer: nothing is allowed but what the page's own document needs."""

from __future__ import annotations

import base64
import hashlib
import re

ANSWER = "default-src 'none'; frame-ancestors 'none'"
"""Policy of the API, and of the scripts, styles and pictures that the page loads."""
RECORDING = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""Policy of an upload that is played: whatever it holds, a browser that opens it by itself runs nothing of it."""
_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script\s*>", re.IGNORECASE | re.DOTALL)


def page(document: bytes) -> str:
    """The policy of Gradio's document: scripts of this server's files, and those in the document as it was sent.

    The latter by their digests, so that nothing that gets into the page later runs. Styles stay free: Svelte sets them
    at every element. `blob:` is a recording that the browser made, or plays.
    """
    digests = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _SCRIPT.findall(document))
    scripts = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "media-src 'self' blob:; font-src 'self'; connect-src 'self' blob:; worker-src blob:; base-uri 'self'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
