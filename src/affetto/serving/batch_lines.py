"""Lines of the answer of `POST /v1/batch`: JSON as recordings are done, or CSV as `affetto predict` writes it."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Sequence
from typing import Any, Protocol

from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import as_row, facts
from affetto.inference.batch.outputs import Row, Writer
from affetto.inference.prediction import Prediction
from affetto.serving.answers import prediction_answer
from affetto.serving.catalogue import Model
from affetto.serving.processing import Options
from affetto.serving.refusals import RefusalError

JSON_LINES, CSV = "jsonl", "csv"
FORMATS = {JSON_LINES: "application/x-ndjson", CSV: "text/csv"}
"""Content type of each format."""


class Lines(Protocol):
    """Text of a batch's answer."""

    def header(self) -> str:
        """Text before the first line."""

    def add(self, index: int, result: Prediction | RefusalError) -> str:
        """Text that can be sent once the recording of this number is done; it may be empty."""


def lines_of(kind: str, model: Model, options: Options, names: Sequence[str]) -> Lines:
    """Make the lines of a format. `names`: the names that the client gave its recordings."""
    return CsvLines(model, options, names) if kind == CSV else JsonLines(model)


class JsonLines:
    """A line of JSON for each recording when it is done, with its number as `index`."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def header(self) -> str:
        return ""

    def add(self, index: int, result: Prediction | RefusalError) -> str:
        return json.dumps({"index": index, **self._fields(result)}, ensure_ascii=False) + "\n"

    def _fields(self, result: Prediction | RefusalError) -> dict[str, Any]:
        if isinstance(result, RefusalError):
            return {"error": result.code, "message": result.message}
        answer = prediction_answer(self._model, result)
        protocol = self._model.predictor.protocol
        mark = {} if protocol is None else {"protocol": protocol}
        return answer.model_dump(mode="json", exclude_unset=True, by_alias=True) | mark


class CsvLines:
    """Rows of a CSV in the order of the form, since they have names and no numbers."""

    def __init__(self, model: Model, options: Options, names: Sequence[str]) -> None:
        predictor = copy.copy(model.predictor)
        options.apply(predictor)
        about = facts(predictor)
        self._names, self._protocol = names, about.protocol
        self._text = io.StringIO()
        has_protocol = about.protocol is not None
        self._writer = Writer(self._text, "csv", about.columns, sections=False, protocol=has_protocol)
        self._waiting: dict[int, Row] = {}

    def header(self) -> str:
        return self._drain()

    def add(self, index: int, result: Prediction | RefusalError) -> str:
        row = as_row(Input(self._names[index]), result)
        self._waiting[index] = row if self._protocol is None else row | {"protocol": self._protocol}
        while self._writer.rows in self._waiting:
            self._writer.write(self._waiting.pop(self._writer.rows))
        return self._drain()

    def _drain(self) -> str:
        """Text that was written since the last call."""
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text
