"""Pod Security Standards v1.37 (kubernetes.io, "Pod Security Standards"): baseline and restricted, control by control.

Each control names fields of a pod and the values they may hold. A field of another type than the API's, or a manifest
that holds no pod, is unknown, and unknown is never allowed. Windows pods and pods in a user namespace are exempt from
exactly what the standard exempts them from.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

Level = Literal["baseline", "restricted"]
Status = Literal["allowed", "violated", "unknown"]

_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"), ("spec", "template")
    ),
}
"""Kind -> where its pod stands."""

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_UNSET: tuple[JsonValue, ...] = (None,)
_FALSE: tuple[JsonValue, ...] = (None, False)
_EMPTY: tuple[JsonValue, ...] = (None, "")
_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
_SELINUX_TYPES = (*_EMPTY, "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_PROFILES = ("RuntimeDefault", "Localhost")
_SYSCTLS = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat",
)  # fmt: skip
"""Up to v1.37: reserved_ports since 1.27, keepalive and fin_timeout since 1.29, rmem and wmem since 1.32, the last
two since 1.37."""
_VOLUMES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
)  # fmt: skip
"""`image` since 1.33. A volume without a source is an emptyDir: the API fills it in."""
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_HANDLERS = ("httpGet", "tcpSocket")
_HOOKS = (
    ("livenessProbe",), ("readinessProbe",), ("startupProbe",), ("lifecycle", "postStart"), ("lifecycle", "preStop"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spot:
    """A value and where it stands. Absent and null are the same; `broken` means that the API has another type here."""

    path: str
    value: JsonValue
    broken: bool = False

    def at(self, *names: str) -> "Spot":
        """Return the field below; absent when anything on the way is."""
        spot = self
        for name in names:
            spot = spot._field(name)
        return spot

    def each(self) -> tuple["Spot", ...]:
        """Return the items of a list."""
        if self.value is None and not self.broken:
            return ()
        if self.broken or not isinstance(self.value, list):
            return (Spot(self.path, self.value, broken=True),)
        return tuple(Spot(f"{self.path}[{place}]", item, item is None) for place, item in enumerate(self.value))

    def within(self, allowed: Iterable[JsonValue]) -> bool:
        """Tell whether the value is one of the allowed ones, of the same type (`0` is not `false`)."""
        return not self.broken and any(type(self.value) is type(one) and self.value == one for one in allowed)

    def _field(self, name: str) -> "Spot":
        path = f"{self.path}.{name}" if self.path else name
        if self.value is None and not self.broken:
            return Spot(path, None)
        if self.broken or not isinstance(self.value, dict):
            return Spot(self.path, self.value, broken=True)
        return Spot(path, self.value.get(name))


@dataclass(frozen=True, slots=True)
class Finding:
    """A field that keeps a control from being met, and what it holds (JSON; `null` when it is missing)."""

    path: str
    found: str
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class ControlVerdict:
    """One control of a level on one pod."""

    control: str
    level: Level
    findings: tuple[Finding, ...] = ()

    @property
    def status(self) -> Status:
        """Return violated when a field is known to be wrong, unknown when one cannot be read, else allowed."""
        if any(not one.unknown for one in self.findings):
            return "violated"
        return "unknown" if self.findings else "allowed"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, or the pod that a workload's template describes."""

    metadata: Spot
    spec: Spot

    @property
    def windows(self) -> bool:
        """Tell whether the pod says that it runs on Windows."""
        return self.spec.at("os", "name").within(("windows",))

    @property
    def user_namespace(self) -> bool:
        """Tell whether its users are not the host's (`hostUsers: false`)."""
        return self.spec.at("hostUsers").within((False,))

    def containers(self) -> Iterator[Spot]:
        """Yield init, plain and ephemeral containers. A pod without a plain one is no pod: unknown."""
        for kind in _CONTAINERS:
            yield from self.spec.at(kind).each()
        if self.spec.at("containers").within((None, [])):
            yield Spot(self.spec.at("containers").path, None, broken=True)

    def security(self, *names: str) -> Iterator[Spot]:
        """Yield the field of every container's security context."""
        return (container.at("securityContext", *names) for container in self.containers())

    def securities(self, *names: str) -> Iterator[Spot]:
        """Yield the field of the pod's security context and of every container's."""
        yield self.spec.at("securityContext", *names)
        yield from self.security(*names)


Check = Callable[[Pod], Iterable[Spot]]
"""Yields the fields that keep a pod from meeting a control."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control under the standard's name."""

    name: str
    level: Level
    check: Check


def _outside(spots: Iterable[Spot], *allowed: JsonValue) -> Iterator[Spot]:
    return (spot for spot in spots if not spot.within(allowed))


def _host_process(pod: Pod) -> Iterator[Spot]:
    return _outside(pod.securities("windowsOptions", "hostProcess"), *_FALSE)


def _host_namespaces(pod: Pod) -> Iterator[Spot]:
    return _outside((pod.spec.at(name) for name in ("hostNetwork", "hostPID", "hostIPC")), *_FALSE)


def _privileged(pod: Pod) -> Iterator[Spot]:
    return _outside(pod.security("privileged"), *_FALSE)


def _capabilities(pod: Pod) -> Iterator[Spot]:
    return _outside((one for added in pod.security("capabilities", "add") for one in added.each()), *_CAPABILITIES)


def _host_path(pod: Pod) -> Iterator[Spot]:
    return _outside((volume.at("hostPath") for volume in pod.spec.at("volumes").each()), *_UNSET)


def _host_ports(pod: Pod) -> Iterator[Spot]:
    ports = (port for container in pod.containers() for port in container.at("ports").each())
    return _outside((port.at("hostPort") for port in ports), None, 0)


def _hosts(pod: Pod) -> Iterator[Spot]:
    hooks = (container.at(*hook) for container in pod.containers() for hook in _HOOKS)
    return _outside((hook.at(handler, "host") for hook in hooks for handler in _HANDLERS), *_EMPTY)


def _app_armor(pod: Pod) -> Iterator[Spot]:
    yield from _profiles(pod.securities("appArmorProfile"))
    annotations = pod.metadata.at("annotations")
    if not isinstance(annotations.value, dict):
        yield from _outside((annotations,), *_UNSET)
        return
    for name in annotations.value:
        spot = annotations.at(name)
        local = isinstance(spot.value, str) and spot.value.startswith("localhost/")
        if name.startswith(_APPARMOR) and not local:
            yield from _outside((spot,), *_EMPTY, "runtime/default")


def _profiles(profiles: Iterable[Spot]) -> Iterator[Spot]:
    """Yield types of the profiles that are set to anything but the runtime's default or a local one."""
    return _outside((one.at("type") for one in profiles if one.broken or one.value is not None), *_PROFILES)


def _selinux(pod: Pod) -> Iterator[Spot]:
    yield from _outside(pod.securities("seLinuxOptions", "type"), *_SELINUX_TYPES)
    for name in ("user", "role"):
        yield from _outside(pod.securities("seLinuxOptions", name), *_EMPTY)


def _proc_mount(pod: Pod) -> Iterator[Spot]:
    """In a user namespace the unmasked mount shows nothing of the host (since v1.35, baseline only)."""
    return iter(()) if pod.user_namespace else _proc_mount_always(pod)


def _proc_mount_always(pod: Pod) -> Iterator[Spot]:
    return _outside(pod.security("procMount"), None, "Default")


def _seccomp(pod: Pod) -> Iterator[Spot]:
    return _profiles(pod.securities("seccompProfile"))


def _sysctls(pod: Pod) -> Iterator[Spot]:
    return _outside((one.at("name") for one in pod.spec.at("securityContext", "sysctls").each()), *_SYSCTLS)


def _volume_types(pod: Pod) -> Iterator[Spot]:
    for volume in pod.spec.at("volumes").each():
        if volume.broken or not isinstance(volume.value, dict):
            yield Spot(volume.path, volume.value, broken=True)
            continue
        sources = [name for name, value in volume.value.items() if name != "name" and value is not None]
        yield from (volume.at(name) for name in sources if name not in _VOLUMES)


def _escalation(pod: Pod) -> Iterator[Spot]:
    return iter(()) if pod.windows else _outside(pod.security("allowPrivilegeEscalation"), False)


def _non_root(pod: Pod) -> Iterator[Spot]:
    """Root in a user namespace is nobody on the host (since v1.35)."""
    return iter(()) if pod.user_namespace else _required(pod, ("runAsNonRoot",), (True,))


def _non_root_user(pod: Pod) -> Iterator[Spot]:
    if pod.user_namespace:
        return
    for spot in pod.securities("runAsUser"):
        number = isinstance(spot.value, int) and not isinstance(spot.value, bool)
        if spot.broken or not (spot.value is None or number):
            yield Spot(spot.path, spot.value, broken=True)
        elif spot.value == 0:
            yield spot


def _seccomp_required(pod: Pod) -> Iterator[Spot]:
    return iter(()) if pod.windows else _required(pod, ("seccompProfile", "type"), _PROFILES)


def _required(pod: Pod, names: tuple[str, ...], allowed: tuple[JsonValue, ...]) -> Iterator[Spot]:
    """Yield what is set to another value, and, unless the pod sets the field for all, containers that leave it out."""
    whole = pod.spec.at("securityContext", *names)
    if whole.broken or whole.value is not None:
        yield from _outside((whole,), *allowed)
    inherited = whole.within(allowed)
    for spot in pod.security(*names):
        if not (inherited and spot.within(_UNSET)):
            yield from _outside((spot,), *allowed)


def _capabilities_dropped(pod: Pod) -> Iterator[Spot]:
    if pod.windows:
        return
    for capabilities in pod.security("capabilities"):
        yield from _outside(capabilities.at("add").each(), "NET_BIND_SERVICE")
        dropped = capabilities.at("drop")
        if not any(one.within(("ALL",)) for one in dropped.each()):
            yield dropped


CONTROLS: tuple[Control, ...] = (
    Control("HostProcess", "baseline", _host_process),
    Control("Host Namespaces", "baseline", _host_namespaces),
    Control("Privileged Containers", "baseline", _privileged),
    Control("Capabilities", "baseline", _capabilities),
    Control("HostPath Volumes", "baseline", _host_path),
    Control("Host Ports", "baseline", _host_ports),
    Control("Host Probes / Lifecycle Hooks", "baseline", _hosts),
    Control("AppArmor", "baseline", _app_armor),
    Control("SELinux", "baseline", _selinux),
    Control("/proc Mount Type", "baseline", _proc_mount),
    Control("Seccomp", "baseline", _seccomp),
    Control("Sysctls", "baseline", _sysctls),
    Control("Volume Types", "restricted", _volume_types),
    Control("Privilege Escalation", "restricted", _escalation),
    Control("Running as Non-root", "restricted", _non_root),
    Control("Running as Non-root user", "restricted", _non_root_user),
    Control("Seccomp", "restricted", _seccomp_required),
    Control("Capabilities", "restricted", _capabilities_dropped),
    Control("/proc Mount Type", "restricted", _proc_mount_always),
)


def pod_of(manifest: JsonValue) -> Pod | None:
    """Return the pod of a manifest (a pod or a workload with a pod template), None for anything else."""
    root = Spot("", manifest)
    kind = root.at("kind").value
    place = _TEMPLATES.get(kind) if isinstance(kind, str) else None
    if place is None:
        return None
    pod = root.at(*place)
    metadata, spec = pod.at("metadata"), pod.at("spec")
    return Pod(metadata, spec if isinstance(spec.value, dict) else Spot(spec.path, spec.value, broken=True))


def judge(manifest: JsonValue, level: Level) -> tuple[ControlVerdict, ...]:
    """Return the verdict of every control of a level on one manifest; restricted includes baseline."""
    pod = pod_of(manifest)
    wanted = [one for one in CONTROLS if level == "restricted" or one.level == "baseline"]
    if pod is None:
        nothing = Finding("kind", "no pod in this manifest", unknown=True)
        return tuple(ControlVerdict(one.name, one.level, (nothing,)) for one in wanted)
    return tuple(ControlVerdict(one.name, one.level, tuple(map(_finding, one.check(pod)))) for one in wanted)


def admitted(verdicts: Iterable[ControlVerdict]) -> bool:
    """Tell whether every control is allowed: a violated or unknown one is not."""
    return all(one.status == "allowed" for one in verdicts)


def _finding(spot: Spot) -> Finding:
    return Finding(spot.path, json.dumps(spot.value, default=str), unknown=spot.broken)
