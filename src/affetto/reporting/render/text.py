"""Numbers as text: percent, counts, times, differences."""

from __future__ import annotations

DASH = "–"
"""Stands where a value cannot be; a result that is missing is a longer dash (`sheet.MISSING`)."""


def percent_text(value: float | None) -> str:
    """A fraction as the field prints it: ×100, one decimal.

    >>> percent_text(0.4884)
    '48.8'
    """
    return DASH if value is None else f"{100 * value:.1f}"


def range_text(value: float, low: float, high: float) -> str:
    """A score with its interval, of fractions.

    >>> range_text(0.589, 0.407, 0.768)
    '58.9 (40.7–76.8)'
    """
    return f"{percent_text(value)} ({percent_text(low)}–{percent_text(high)})"


def count_text(value: int | None) -> str:
    """A number of parameters, three digits at most.

    >>> [count_text(number) for number in (0, 987, 12_345, 999_600, 94_371_712, 1_500_000_000)]
    ['0', '987', '12.3k', '1.00M', '94.4M', '1.50G']
    """
    if value is None:
        return DASH
    if value < 1000:
        return str(value)
    # A number that would be rounded to 1000 is written in the next unit.
    power, suffix = next(
        ((power, suffix) for power, suffix in ((3, "k"), (6, "M")) if value < 999.5 * 10**power), (9, "G")
    )
    scaled = value / 10**power
    return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{suffix}"


def duration_text(seconds: float | None) -> str:
    """A time in its two largest units.

    >>> duration_text(0.42), duration_text(59.6), duration_text(125), duration_text(3 * 3600 + 299)
    ('0.4 s', '1 min 00 s', '2 min 05 s', '3 h 05 min')
    """
    if seconds is None:
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def signed_text(value: float, digits: int = 1) -> str:
    """A difference with its sign, a true minus.

    >>> signed_text(1.25, 1), signed_text(-0.04, 1), signed_text(-3.0, 1)
    ('+1.2', '0.0', '−3.0')
    """
    text = f"{value:+.{digits}f}"
    if not text.strip("+-0."):
        return text.lstrip("+-")
    return text.replace("-", "−")


def signed_range(interval: tuple[float, float] | None) -> str:
    """The interval of a difference of fractions, ×100; empty where there is none.

    >>> signed_range((-0.012, 0.034)), signed_range(None)
    ('−1.2 to +3.4', '')
    """
    if interval is None:
        return ""
    low, high = interval
    return f"{signed_text(100 * low)} to {signed_text(100 * high)}"
