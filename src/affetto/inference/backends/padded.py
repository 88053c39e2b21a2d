"""A classifier on a device that takes padded batches: small ones in few shapes, captured as graphs; no waiting.

A small batch's kernels are shorter than their launch from Python. So it is padded to one of a few shapes, and what a
device can capture is launched together. A large batch keeps the device busy by itself and is padded to its longest clip
alone. Padding changes no number but by rounding: masks hide it, and rows beside the clips are dropped.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from affetto.audio import RATE_HZ, AudioError
from affetto.inference.flow import Rows
from affetto.models import pipeline
from affetto.models.classifier import Classifier
from affetto.models.device import fetch, send
from affetto.models.graphs import Captured, recorder_of

LOGITS, STATISTICS, BOTH = "logits", "statistics", "both"
ROWS = (1, 2, 4, 8, 16)
"""Sizes of small batches."""
WIDTHS = 8
"""Lengths of small batches: so many parts of a window."""
SMALL_FRAMES = 4096
"""Frames of a small batch at most: 16 windows of 4 s. Not measured: beyond it a step is longer than its launch."""
MOST_SAMPLES, MOST_WINDOWS = 2**25, 256
"""Samples and windows that are cut into batches of like length together."""


class PaddedModel:
    """`begin(waves)` hands windows to the device. `classifier` is merged, its cut below all blocks.

    `window_seconds`: the longest window; None: any length, and then no shape is captured.
    """

    def __init__(self, classifier: Classifier, device: torch.device, window_seconds: float | None) -> None:
        self.classifier, self.device = classifier, device
        self.window = None if window_seconds is None else round(window_seconds * RATE_HZ)
        self.captured: Captured | None = None
        recorder = recorder_of(device)
        if recorder is not None and self.window is not None:
            self.captured = Captured(self._compute, recorder)
            self.captured.most_shapes = 3 * len(ROWS) * WIDTHS  # of each kind of rows
        self._window_frames = 0
        self._is_reported = False

    @property
    def windows_at_once(self) -> int:
        """Number of windows to hand over together: enough for batches of like length."""
        return min(MOST_WINDOWS, max(ROWS[-1], MOST_SAMPLES // (self.window or MOST_SAMPLES)))

    def begin(self, waves: Sequence[np.ndarray], kind: str = LOGITS) -> Rows:
        """Begin to compute the logits, the statistics, or both side by side, of waves (samples,) → what waits for them,
        (waves, n) float64.

        Raises AudioError for a wave that the backbone cannot take.
        """
        begun = [(clips, *fetch({kind: rows}, self.device)) for clips, rows in self.compute(waves, kind)]

        def rows() -> np.ndarray:
            parts = []
            for _, host, wait in begun:
                wait()
                parts.append(host[kind].double().numpy())
            result = np.empty((len(waves), parts[0].shape[1]))
            result[[clip for clips, _, _ in begun for clip in clips]] = np.concatenate(parts)
            return result

        return rows

    @torch.no_grad()
    def compute(self, waves: Sequence[np.ndarray], kind: str) -> Iterator[tuple[list[int], Tensor]]:
        """Yield batches: indices of their waves, and the device's rows (clips, n) of them, which the next overwrite."""
        for clips, outcome in pipeline.compute(self.classifier, waves):
            if isinstance(outcome, AudioError):
                raise outcome
            prefix, frames = outcome
            features, lengths = prefix["features"], torch.tensor(frames)
            shape = self._small_shape(len(clips), max(frames))
            if shape is None or self.captured is None:
                yield clips, self._compute(kind, features, lengths)
            else:
                yield clips, self._replay(kind, *self._padded(features, lengths, *shape))[: len(clips)]

    def _compute(self, kind: str, features: Tensor, lengths: Tensor) -> Tensor:
        """Rows of a kind from (batch, frames, channels)."""
        prefix = {"features": features}
        if kind == BOTH:
            return torch.cat(self.classifier.with_statistics(prefix, lengths), dim=1)
        return self.classifier.statistics(prefix, lengths) if kind == STATISTICS else self.classifier(prefix, lengths)

    # Small shapes --------------------------------------------------------------------------------

    def _small_shape(self, clips: int, frames: int) -> tuple[int, int] | None:
        """Rows and frames that a small batch is padded to; None for a large one."""
        if self.captured is None or clips > ROWS[-1]:
            return None
        rows = next(size for size in ROWS if size >= clips)
        width = next(width for width in self._widths() if width >= frames)
        return (rows, width) if rows * width <= SMALL_FRAMES else None

    def _widths(self) -> list[int]:
        """Frames of small batches: parts of a window, up to the whole."""
        longest = self._longest_frames()
        return [-(-part * longest // WIDTHS) for part in range(1, WIDTHS + 1)]

    def _replay(self, kind: str, features: Tensor, lengths: Tensor) -> Tensor:
        """Compute a small batch by its capture; says once where there can be none."""
        assert self.captured is not None
        rows = self.captured(kind, features, lengths)
        if self.captured.problem is not None and not self._is_reported:
            self._is_reported = True
            warnings.warn(
                f"prediction is not captured as a graph and may be slower: {self.captured.problem}",
                RuntimeWarning,
                stacklevel=2,
            )
        return rows

    def _longest_frames(self) -> int:
        """Frames of a whole window."""
        if not self._window_frames:
            assert self.window is not None
            _, (self._window_frames,) = self.classifier.prefix_batch([np.zeros(self.window, np.float32)])
        return self._window_frames

    def _padded(self, features: Tensor, lengths: Tensor, rows: int, width: int) -> tuple[Tensor, Tensor]:
        """(batch, frames, channels) → (rows, width, channels), and lengths (rows,) on the device.

        Rows beside the clips count as whole, so that no mean is over nothing.
        """
        clips, frames, _ = features.shape
        padded = torch.nn.functional.pad(features, (0, 0, 0, width - frames, 0, rows - clips))
        counts = torch.nn.functional.pad(lengths, (0, rows - clips), value=width)
        return padded, send(counts, self.device)

    @torch.no_grad()
    def warm_up(self, clips: int) -> None:
        """Compute silence in each small shape of up to `clips` clips, twice, so that it is captured."""
        silence = np.zeros(self.window or RATE_HZ, np.float32)
        if self.captured is None:
            self.begin([silence])()
            return
        for size in (size for size in ROWS if size <= clips):
            self.begin([silence] * size)()
            prefix, _ = self.classifier.prefix_batch([silence] * size)
            for width in (width for width in self._widths() if size * width <= SMALL_FRAMES):
                for _ in range(2):
                    lengths = torch.full((size,), width)
                    self._replay(LOGITS, prefix["features"][:, :width].contiguous(), send(lengths, self.device))
