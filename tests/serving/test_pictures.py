"""Pictures of dimensions and of several labels: where marks stand, and that words stay text."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np

from affetto.serving import bars, curves, drawing, plane
from affetto.targets.dimensions import Interval

SCALES = {"arousal": Interval(1, 5), "valence": Interval(1, 5), "tension": Interval(-1, 1)}
LEFT, TOP, SIDE = plane.MARGIN, plane.MARGIN, plane.SIDE


def test_a_point_stands_where_its_values_are():
    corner = plane.plane(SCALES, {"arousal": 5, "valence": 1}, {}, [], {})
    assert f'class="affetto-point" cx="{LEFT:.1f}" cy="{TOP:.1f}"' in corner, "valence from the left, arousal upwards"
    middle = plane.plane(SCALES, {"arousal": 2, "valence": 3, "tension": 0}, {}, [], {"arousal": "attivazione <b>"})
    assert f'class="affetto-point" cx="{LEFT + SIDE / 2:.1f}" cy="{TOP + 3 * SIDE / 4:.1f}"' in middle
    assert 'aria-label="valence 3.00, attivazione &lt;b&gt; 2.00"' in middle and "<b>" not in middle


def test_an_interval_is_a_box_and_needs_both_dimensions():
    intervals = {"valence": (2.0, 3.0), "arousal": (4.0, 5.0)}
    picture = plane.plane(SCALES, {"arousal": 4.5, "valence": 2.5}, intervals, [], {})
    quarter = SIDE / 4
    assert (
        f'class="affetto-interval" x="{LEFT + quarter:.1f}" y="{TOP:.1f}" width="{quarter:.1f}" height="{quarter:.1f}"'
    ) in picture
    assert "interval" not in plane.plane(SCALES, {"arousal": 4, "valence": 2}, {"valence": (1, 3)}, [], {})


def test_a_path_goes_from_its_open_circle_to_the_full_one():
    path = [(1.0, 1.0), (3.0, 3.0), (5.0, 5.0)]
    picture = plane.plane(SCALES, {"arousal": 3, "valence": 3}, {}, path, {})
    assert f'class="affetto-begin" cx="{LEFT:.1f}" cy="{TOP + SIDE:.1f}"' in picture
    assert f'class="affetto-end" cx="{LEFT + SIDE:.1f}" cy="{TOP:.1f}"' in picture
    assert picture.count("<line ") == 2 and 'opacity="0.30"' in picture and 'opacity="0.90"' in picture
    assert "affetto-path" not in plane.plane(SCALES, {"arousal": 3, "valence": 3}, {}, path[:1], {})


def test_a_bar_shows_a_value_within_its_range():
    picture = bars.dimension_bars(SCALES, {"tension": 0.5}, {"tension": (0.0, 1.0)}, {"tension": "tensione & co"})
    assert "tensione &amp; co" in picture and "0.50 (0.00–1.00)" in picture
    assert 'style="left:75.0%"' in picture and 'style="left:50.0%;width:50.0%"' in picture
    assert "band" not in bars.dimension_bars(SCALES, {"tension": 0.5}, {}, {})


def test_labels_that_apply_have_a_tick_and_the_most_probable_is_first():
    picture = bars.label_bars({"joy": 0.4, "fear": 0.9, "anger": 0.1}, ["joy"], {"joy": "gioia", "fear": "<i>"})
    words = re.findall(r"<(?:b|span)>([^<]*)</", picture)
    assert words == ["&lt;i&gt;", "90%", "✓ gioia", "40%", "anger", "10%"]
    assert picture.count("affetto-faint") == 2 and "width:90.0%" in picture


def test_a_curve_is_level_within_a_segment_and_broken_where_nobody_speaks():
    segments = [
        SimpleNamespace(start=start, end=end, dimensions={"tension": value})
        for start, end, value in ((0.0, 2.0, -1), (2.0, 4.0, 0), (6.0, 8.0, 1))
    ]
    picture = curves.curves(8.0, segments, {"tension": SCALES["tension"]}, {})
    low, middle, high = curves.HEIGHT - curves.EDGE, curves.HEIGHT / 2, curves.EDGE
    assert f'd="M0.0 {low:.1f}H150.0L150.0 {middle:.1f}H300.0M450.0 {high:.1f}H600.0"' in picture
    assert "tension: 0.0–2.0 s -1.00; 2.0–4.0 s 0.00; 6.0–8.0 s 1.00" in picture


def test_speech_without_labels_has_one_colour():
    segments = [SimpleNamespace(start=0.0, end=1.0, emotion=None)]
    picture = drawing.timeline(np.ones(32_000, np.float32), 16_000, segments, (), {})
    assert picture.count(f'fill="{drawing.COLOURS[0]}"') == picture.count(f'fill="{drawing.SILENCE}"') == 300
    assert 'aria-label="0.0–1.0 s"' in picture
