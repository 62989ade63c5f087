"""Every constant of the diagnosis, in one place: the same values serve every data set and the simulator.

Each number says where it comes from. They were reasoned out or cross-checked on fault-free time and on training
cases; none is fitted to cases that are reported.
"""

from typing import Final

MAD_TO_SIGMA: Final = 1.4826
"""Median absolute deviation of a normal variable in units of its standard deviation (1 / 0.6745)."""

TAIL_QUANTILE: Final = 0.95
TAIL_TO_SIGMA: Final = 1.645
"""The 95 % point of a normal variable lies 1.645 deviations out: turns a skewed upper tail into a scale."""

RELATIVE_FLOOR: Final = 0.10
"""A change under a tenth of the usual level is not worth waking anybody for (customary alerting slack)."""

ABSOLUTE_FLOOR: Final[dict[tuple[str, str], float]] = {
    ("latency", "ms"): 2.0,  # timer and scheduler granularity of a busy host
    ("errors", "ratio"): 0.005,  # half a percent: five times the budget of a 99.9 % objective
    ("availability", "ratio"): 0.005,  # the same failures, counted from the other side
    ("saturation", "ratio"): 0.05,  # sampling error of utilisation over one scrape
}
"""Smallest scale of a deviation per (kind, unit). Without it a constant series (availability at 100 %) gives an
infinite score and would either always or never be blamed."""

HALF_COUNT: Final = 0.5
"""Continuity correction of a counting series: failures come in whole requests, so half a request is its noise."""

VOLUME_CAP: Final = 2.0
"""Traffic above twice the usual does not add to a callee's excess: more calls are the caller's doing."""

MIN_BASELINE: Final = 8
"""Fewer samples than this do not fix a 95 % point; the scale is then doubled (small-sample t factor, rounded up)."""

MIN_RUN: Final = 2
"""A fault lasts at least two samples: one sample alone is a spike (the usual `for:` clause of an alert)."""

RUN_GAIN_CAP: Final = 4
"""Averaging L samples gains sqrt(L) only while they are independent; metric noise is correlated beyond about four."""

MAX_BINS: Final = 64
"""Longer windows are averaged into at most this many bins before the quadratic search for a run."""

FAMILY_ALPHA: Final = 0.05
"""Family-wise error: one quiet window in twenty may exceed the threshold learned from the baseline
(Westfall and Young 1993, max-T)."""

DETECTION_Z: Final = 4.0
"""No window is called anomalous below four deviations, however calm the baseline (sqrt(2 ln 3000): the expected
maximum over a few thousand independent looks)."""

DETECTION_Z_CAP: Final = 12.0
"""A baseline that itself held an incident must not blind us: beyond this everything counts."""

CANDIDATE_Z: Final = 3.0
"""Once something is wrong, three deviations make a candidate (two-threshold hysteresis)."""

SYMPTOM_GATE: Final = 1.0
"""A cause must be able to move the symptom by one deviation of the symptom's own noise, or it is not its cause."""

ABSORBED_RATIO: Final = 2.0
"""Failures of a dependency that usually fails twice as often as all its callers together do not reach them: they are
retried, ignored, or the call is asynchronous. Twice leaves room for retries (one retry doubles the count)."""

SPAN_SLOW_Z: Final = 3.0
"""A span is slow beyond three deviations of its operation's baseline."""

SPAN_RELATIVE_FLOOR: Final = 0.5
"""Single requests vary far more than window averages: half the median is ordinary jitter."""

SPAN_ABSOLUTE_FLOOR_MS: Final = 1.0
"""Clocks of different hosts and millisecond timestamps disagree by about this much."""

SPAN_MIN_REFERENCE: Final = 3
"""Fewer baseline spans than this: compare with the pooled operations of the same sort instead."""

SPAN_ALPHA: Final = 0.001
"""Two-proportion test per operation, before the Bonferroni division by the number of operations."""

DISRUPTION_SHARE: Final = 0.3
"""A third of an operation's visits must take another course: smaller shifts are changes of what users ask for."""

CUT_SHORT: Final = 0.5
"""A visit in under half the time of the fastest one before left work out: caches and warm code save less than that
once a service has warmed up."""

LOG_ALONE_Z: Final = 8.0
"""Error lines alone accuse nobody below eight deviations: one failure logs several lines, so the count varies about
twice as much as Poisson's."""

LOG_Z: Final = 4.0
"""A template's count must rise by four Poisson deviations (Anscombe 1948) to count."""

SEVERITY_WEIGHT: Final[dict[str, float]] = {"info": 0.0, "warning": 0.3, "error": 1.0, "critical": 1.0}
"""Information lines follow traffic and say nothing; a warning is worth a third of an error."""

CHANGE_LOOKBACK_S: Final = 3600.0
"""A change is suspect for an hour: most change-induced incidents show within it (Google SRE workbook, canarying)."""

WEIGHT_DIRECT: Final = 1.0
"""Time and failures an entity adds itself, measured from metrics or from spans."""

WEIGHT_CIRCUMSTANCE: Final = 0.3
"""Saturation, logs, a recent change, the other symptom kind: they break ties, three of them nearly make a direct
proof, one of them never overturns a clear lead."""

TEMPLATE_WORDS: Final = 8
"""More different words than this in one place of otherwise equal lines make it a variable: states and outcomes come
in twos to sevens, names in any number. Grouping accuracy is flat from 8 to 12 and a point lower at 5."""
