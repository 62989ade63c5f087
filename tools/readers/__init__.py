"""Readers: evidence of the runtime, one file per port. A new reader is one file and one line here."""

from tools.client import RuntimeClient
from tools.readers.effects import EffectApiReader
from tools.readers.runtime import RuntimeApiReader
from tools.readers.spans import SpanApiReader
from tools.readers.telemetry import TelemetryApiReader

Reader = EffectApiReader | RuntimeApiReader | SpanApiReader | TelemetryApiReader
READERS: tuple[type[Reader], ...] = (RuntimeApiReader, TelemetryApiReader, SpanApiReader, EffectApiReader)

__all__ = ["READERS", "EffectApiReader", "RuntimeApiReader", "RuntimeClient", "SpanApiReader", "TelemetryApiReader"]
