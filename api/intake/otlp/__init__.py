"""OpenTelemetry over HTTP: one file per signal, one table of signals in `routes`."""
