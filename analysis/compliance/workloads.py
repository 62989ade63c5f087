"""Workloads: who may connect to a service, what its pods may do on their node, and how its replicas are spread."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from pydantic import JsonValue

from analysis import pod_security
from analysis.compliance.estate import Estate
from analysis.compliance.verdicts import Verdict, all_of, unknown
from domain.compliance import ComplianceStatus, Demand, Fact, PodSecurityLevel
from domain.policies import PodProfile

# Networks nobody outside can send from: RFC 1918, RFC 6598, loopback, RFC 4193.
_PRIVATE_4 = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8")))
_PRIVATE_6 = tuple(map(IPv6Network, ("fc00::/7", "::1/128")))


def not_exposed(estate: Estate, name: str, demand: Demand) -> Verdict:
    """No network that may connect to a service is public and as wide as the world."""
    state = estate.state.services.get(name)
    if state is None or demand.widest_public_prefix is None:
        return unknown()
    if not state.ingress_from:
        return "satisfied", (Fact(path="ingress_from", value=[]),)
    facts = [Fact(path=f"ingress_from.{k}", value=text) for k, text in enumerate(state.ingress_from)]
    return all_of([exposure(text, demand.widest_public_prefix) for text in state.ingress_from], facts)


def pods_secured(estate: Estate, name: str, demand: Demand) -> Verdict:
    """A service's pods are within the demanded level of the Pod Security Standards."""
    state = estate.state.services.get(name)
    if state is None or demand.pod_security_level is None:
        return unknown()
    return _pods(state.pod.model_dump_json(), demand.pod_security_level)


def zones_spread(estate: Estate, name: str, demand: Demand) -> Verdict:
    """A service of a demanding tier is spread over the zones of its regions, and each has at least two."""
    service, state = estate.services.get(name), estate.state.services.get(name)
    if service is None or state is None or demand.tiers is None:
        return unknown("tier" if state else "")
    tier = Fact(path="tier", value=service.tier)
    if service.tier not in demand.tiers:
        return "satisfied", (tier,)
    flag = Fact(path="zone_spread", value=state.zone_spread)
    if not state.zone_spread:
        return "not_satisfied", (tier, flag)
    zones = [(region, sorted(estate.zones.get(region, ()))) for region in service.regions]
    facts = [flag, *(Fact(path=f"region/{region}/zones", value=[*names]) for region, names in zones)]
    return all_of([_spread(names) for _, names in zones], facts)


def pod_of(profile: PodProfile) -> JsonValue:
    """Return the manifest of a pod with that profile, as the Kubernetes API writes it."""
    container: JsonValue = {
        "name": "main",
        "securityContext": {
            "privileged": profile.privileged,
            "allowPrivilegeEscalation": profile.allow_privilege_escalation,
            "capabilities": {"add": [*profile.add_capabilities], "drop": [*profile.drop_capabilities]},
        },
    }
    security: JsonValue = {"runAsNonRoot": profile.run_as_non_root, "seccompProfile": {"type": profile.seccomp}}
    volumes: JsonValue = [
        {"name": f"host-{k}", "hostPath": {"path": path}} for k, path in enumerate(profile.host_paths)
    ]
    return {
        "kind": "Pod",
        "metadata": {"name": "judged"},
        "spec": {
            "hostNetwork": profile.host_network,
            "securityContext": security,
            "containers": [container],
            "volumes": volumes,
        },
    }


@lru_cache(maxsize=4096)
def exposure(text: str, widest: tuple[int, int]) -> ComplianceStatus:
    """Return whether one network (CIDR) is private or narrow enough; what is no network is unknown."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return "unknown"
    if isinstance(network, IPv4Network):
        inside, bits = any(network.subnet_of(p) for p in _PRIVATE_4), widest[0]
    else:
        inside, bits = any(network.subnet_of(p) for p in _PRIVATE_6), widest[1]
    return "satisfied" if inside or network.prefixlen >= bits else "not_satisfied"


def _spread(zones: Sequence[str]) -> ComplianceStatus:
    if not zones:
        return "unknown"
    return "satisfied" if len(zones) > 1 else "not_satisfied"


@lru_cache(maxsize=4096)
def _pods(profile: str, level: PodSecurityLevel) -> Verdict:
    verdicts = pod_security.judge(pod_of(PodProfile.model_validate_json(profile)), level)
    facts = tuple(
        Fact(path=f"pod/{f.path}", value=f.found) for one in verdicts if one.status != "allowed" for f in one.findings
    )
    if pod_security.admitted(verdicts):
        return "satisfied", (Fact(path="pod", value=level),)
    return ("not_satisfied" if any(v.status == "violated" for v in verdicts) else "unknown"), facts
