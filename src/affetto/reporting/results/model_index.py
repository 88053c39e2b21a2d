"""Scores of a report as a `model-index`, the block of a Hugging Face model card that leaderboards read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from affetto.measures.registry import shown_measures
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, corpus_title
from affetto.reporting.results.records import Configuration


def model_index(evidence: Evidence) -> str:
    """YAML with an entry for each configuration of classes: test scores, as means over its seeds.

    A value is a fraction; the interval stands beside it in the arguments of the metric.
    """
    naming = Naming(evidence.configurations)
    entries = [
        {"name": naming.label(config), "results": [_result(evidence, config)]} for config in evidence.configurations
    ]
    return yaml.safe_dump({"model-index": entries}, sort_keys=False, allow_unicode=True)


def _result(evidence: Evidence, config: Configuration) -> dict[str, Any]:
    manifest = config.done[0].facts.get("manifest")
    return {
        "task": {"type": "audio-classification", "name": "Speech emotion recognition"},
        "dataset": {
            "name": corpus_title(config.axes.corpus) + (" (synthetic speech)" if config.synthetic else ""),
            "type": config.axes.dataset,
            "split": f"{config.split}, test",
            **({"revision": str(manifest)} if manifest else {}),
        },
        "metrics": list(_metrics(evidence, config)),
    }


def _metrics(evidence: Evidence, config: Configuration) -> Iterator[dict[str, Any]]:
    for measure in shown_measures():
        estimate = evidence.estimate(config, measure.name)
        yield {
            "type": measure.hub_type or measure.name,
            "name": measure.title,
            "value": round(estimate.value, 4),
            "args": {
                "interval": [round(estimate.low, 4), round(estimate.high, 4)],
                "level": estimate.level,
                "over": estimate.over[0],
                "seeds": len(estimate.seeds),
            },
        }
