"""What is wrong with a served certificate, judged by the runtime's clock. Pure."""

from datetime import datetime

from domain.trust import CertificateFacts, Wrong
from runtime.trust.ports import Served, Wanted


def wrong_with(
    wanted: Wanted, installed: CertificateFacts | None, served: Served, distrusted: tuple[str, ...], at: datetime
) -> tuple[Wrong, ...]:
    """Return everything a careful client would refuse it for; empty where it would accept."""
    facts = served.facts
    if facts is None:
        return ("unreachable",)
    checks: tuple[tuple[Wrong, bool], ...] = (
        ("expired", at >= facts.not_after),
        ("not_yet_valid", at < facts.not_before),
        ("wrong_name", not any(names_host(name, wanted.hostname) for name in facts.names)),
        # Public issuers put no such name in: then the host name alone tells whose it is.
        ("wrong_tenant", bool(facts.identities) and wanted.identity not in facts.identities),
        ("wrong_chain", bool(served.chain_error)),
        ("issuer_distrusted", facts.issuer in distrusted),
        ("not_reloaded", installed is not None and installed.fingerprint != facts.fingerprint),
    )
    return tuple(wrong for wrong, holds in checks if holds)


def names_host(name: str, host: str) -> bool:
    """Tell whether a DNS name stands for a host: equal, or `*` for the whole first label (RFC 9525)."""
    name, host = name.lower(), host.lower()
    if not name.startswith("*."):
        return name == host
    first, dot, rest = host.partition(".")
    return bool(first and dot) and rest == name[2:] and "." in rest
