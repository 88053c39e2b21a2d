"""Confidence that means something: one temperature a model, fitted on validation speakers.

Temperature scaling (Guo et al., ICML 2017): logits are divided by one number, chosen for the likelihood of the
validation clips, and brought nearer to 1 where few speakers stand behind it. It changes no label. With a refit, or a
final model of several folds, the model that carries the temperature has been trained on those clips since; the
temperature was fitted before, on predictions by a model that was not trained on their speakers. That model is not
quite strange to them: where state and strength are chosen on inner folds, or the best epoch on validation, these
speakers had a part in the choice. So a temperature may come out a little too low; test speakers have no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from affetto.measures.probability import FLOOR, expected_calibration_error, log_loss, softmax

Rows = Sequence[Mapping[str, Any]]
"""Lines of a predictions file: `truth`, `speaker`, `probabilities` of every label."""
LOWEST, HIGHEST = 0.1, 10.0
"""Bounds of a temperature: a few validation clips, all right or all wrong, would drive it to 0 or infinity."""
DOUBT = 3.0
"""Speakers differ more in how sure a model may be of them than models do: on EMOVO temperatures fitted on one speaker
ran from 0.6 to 3.7, and made the next speaker's calibration worse. So the logarithm of a temperature counts
n / (n + DOUBT), for n speakers."""


def calibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(…, labels) → the softmax of their logarithms divided by `temperature`: of a softmax, that of its logits."""
    if temperature == 1.0:
        return probabilities
    return softmax(np.log(np.maximum(probabilities, FLOOR)) / temperature)


def fit_temperature(probabilities: np.ndarray, truth_index: Sequence[int] | np.ndarray) -> float:
    """The temperature under which (clips, labels) give the true labels the highest likelihood."""
    values, true = np.asarray(probabilities, dtype=np.float64), np.asarray(truth_index)

    def loss(log_temperature: float) -> float:
        return log_loss(calibrated(values, float(np.exp(log_temperature))), true)

    # One minimum: the loss is convex in 1 / temperature.
    minimum = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-5})
    return round(float(np.exp(minimum.x)), 4)


def confidence(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The temperature fitted on the validation clips of these folds, what it rests on, and what it does.

    `likeliest` is the one that the clips alone would have; `temperature`, which is used, heeds how few speakers they
    are of.

    Of each fold: `validation` and `test`, its predictions. Test clips of several folds are each by their own fold's
    temperature, since that of all folds together has seen them as another fold's validation.
    """
    validation = [row for fold in folds for row in fold["validation"]]
    tested = [row for fold in folds for row in fold["test"]]
    temperature = _cautious(validation)
    by_fold = [_cautious(fold["validation"]) for fold in folds]
    return {
        "temperature": temperature,
        "likeliest": fit_temperature(*_arrays(validation)),
        "fitted_on": "validation speakers" if len(folds) == 1 else f"validation speakers of {len(folds)} folds",
        "clips": len(validation),
        "speakers": _speakers(validation),
        "validation": before_and_after(validation, [temperature] * len(validation)),
        "test": before_and_after(tested, [t for t, fold in zip(by_fold, folds, strict=True) for _ in fold["test"]]),
    }


def before_and_after(rows: Rows, temperatures: Sequence[float]) -> dict[str, dict[str, float]]:
    """Calibration error and log loss of predictions as they are, and each row's by its temperature."""
    probabilities, true = _arrays(rows)
    after = np.concatenate([calibrated(row[None], t) for row, t in zip(probabilities, temperatures, strict=True)])
    return {
        "ece": {
            "before": expected_calibration_error(probabilities, true),
            "after": expected_calibration_error(after, true),
        },
        "log_loss": {"before": log_loss(probabilities, true), "after": log_loss(after, true)},
    }


def _cautious(rows: Rows) -> float:
    """The temperature fitted on predictions, nearer to 1 the fewer their speakers are."""
    speakers = _speakers(rows)
    return round(float(fit_temperature(*_arrays(rows)) ** (speakers / (speakers + DOUBT))), 4)


def _speakers(rows: Rows) -> int:
    return len({row["speaker"] for row in rows})


def _arrays(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    labels = list(rows[0]["probabilities"])
    probabilities = np.array([[row["probabilities"][label] for label in labels] for row in rows], dtype=np.float64)
    return probabilities, np.array([labels.index(row["truth"]) for row in rows])
