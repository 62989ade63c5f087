"""Pod Security Standards: every control at its edge, exemptions, workload templates, and what cannot be read."""

import copy

import pytest

from analysis.pod_security import CONTROLS, admitted, judge

SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
KINDS = ("containers", "initContainers", "ephemeralContainers")


def pod(security=None, spec=None, annotations=None, **container):
    """A restricted pod with one plain container, to which single fields are added."""
    one = {"name": "c", "image": "i", "securityContext": {**copy.deepcopy(SAFE), **(security or {})}, **container}
    metadata = {"name": "p", **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [one], **(spec or {})}}


def refusing(manifest, level="restricted"):
    return {(one.control, one.level): one for one in judge(manifest, level) if one.status != "allowed"}


def names(manifest, level="restricted"):
    return {control for control, _ in refusing(manifest, level)}


FORBIDDEN = [
    ("HostProcess", {"security": {"windowsOptions": {"hostProcess": True}}}),
    ("HostProcess", {"spec": {"securityContext": {"windowsOptions": {"hostProcess": True}}}}),
    *(("Host Namespaces", {"spec": {field: True}}) for field in ("hostNetwork", "hostPID", "hostIPC")),
    ("Privileged Containers", {"security": {"privileged": True}}),
    *(
        ("Capabilities", {"security": {"capabilities": {"drop": ["ALL"], "add": [one]}}})
        for one in ("NET_RAW", "chown")
    ),
    ("HostPath Volumes", {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}),
    ("Host Ports", {"ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}]}),
    ("Host Probes / Lifecycle Hooks", {"livenessProbe": {"httpGet": {"host": "127.0.0.1", "port": 80}}}),
    ("Host Probes / Lifecycle Hooks", {"startupProbe": {"tcpSocket": {"host": "x", "port": 80}}}),
    ("Host Probes / Lifecycle Hooks", {"lifecycle": {"preStop": {"httpGet": {"host": "x", "port": 80}}}}),
    ("AppArmor", {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}}),
    ("AppArmor", {"security": {"appArmorProfile": {"type": "Unconfined"}}}),
    ("AppArmor", {"spec": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}}),
    ("SELinux", {"security": {"seLinuxOptions": {"type": "spc_t"}}}),
    ("SELinux", {"spec": {"securityContext": {"seLinuxOptions": {"user": "u"}}}}),
    ("SELinux", {"security": {"seLinuxOptions": {"role": "r"}}}),
    ("/proc Mount Type", {"security": {"procMount": "Unmasked"}}),
    ("Seccomp", {"security": {"seccompProfile": {"type": "Unconfined"}}}),
    ("Sysctls", {"spec": {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}}),
    ("Sysctls", {"spec": {"securityContext": {"sysctls": [{"value": "1"}]}}}),
]
ALLOWED = [
    {},
    {"security": {"windowsOptions": {"hostProcess": False}}},
    {"spec": {"hostNetwork": False, "hostPID": None}},
    {"security": {"privileged": False}},
    {"security": {"capabilities": {"drop": ["ALL", "KILL"], "add": ["NET_BIND_SERVICE"]}}},
    {"ports": [{"containerPort": 80, "hostPort": 0}]},
    {"readinessProbe": {"httpGet": {"host": "", "port": 80}}, "lifecycle": {"postStart": {"exec": {"command": ["x"]}}}},
    {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "localhost/mine", "other": "unconfined"}},
    {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}},
    {"security": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"}}},
    {"security": {"seLinuxOptions": {"type": "container_engine_t", "level": "s0:c1"}}},
    {"security": {"procMount": "Default"}},
    {"security": {"seccompProfile": {"type": "Localhost", "localhostProfile": "mine"}}},
    {"spec": {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_notsent_lowat", "value": "1"}]}}},
    {"security": {"runAsUser": 7}},
]


@pytest.mark.parametrize(("control", "change"), FORBIDDEN)
def test_baseline_names_the_control_that_is_not_met(control, change):
    assert names(pod(**change), "baseline") == {control}
    assert control in names(pod(**change))


@pytest.mark.parametrize("change", ALLOWED)
def test_what_the_standard_allows_passes_both_levels(change):
    assert names(pod(**change)) == set()
    assert admitted(judge(pod(**change), "baseline"))


@pytest.mark.parametrize(
    ("control", "security"),
    [
        ("Privilege Escalation", {"allowPrivilegeEscalation": True}),
        ("Privilege Escalation", {"allowPrivilegeEscalation": None}),
        ("Running as Non-root", {"runAsNonRoot": False}),
        ("Running as Non-root", {"runAsNonRoot": None}),
        ("Running as Non-root user", {"runAsUser": 0}),
        ("Seccomp", {"seccompProfile": None}),
        ("Capabilities", {"capabilities": {"drop": ["KILL"]}}),
        ("Capabilities", {"capabilities": None}),
        ("Capabilities", {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}),
    ],
)
def test_restricted_asks_for_more(control, security):
    assert names(pod(security)) == {control}
    assert names(pod(security), "baseline") == set()


@pytest.mark.parametrize("source", ["nfs", "gitRepo", "cephfs", "somethingNew"])
def test_restricted_admits_known_volume_types_only(source):
    assert names(pod(spec={"volumes": [{"name": "v", source: {}}]})) == {"Volume Types"}


@pytest.mark.parametrize("source", ["configMap", "csi", "emptyDir", "ephemeral", "image", "projected", "secret"])
def test_restricted_admits_these_volumes_and_one_without_a_source(source):
    assert names(pod(spec={"volumes": [{"name": "v", source: {}}, {"name": "w"}]})) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_container_is_looked_at(kind):
    bad = {"name": "x", "image": "i", "securityContext": {**SAFE, "privileged": True}}
    manifest = pod()
    manifest["spec"][kind] = [*manifest["spec"].get(kind, []), bad]
    place = len(manifest["spec"][kind]) - 1

    [verdict] = refusing(manifest).values()
    assert verdict.control == "Privileged Containers"
    assert [one.path for one in verdict.findings] == [f"spec.{kind}[{place}].securityContext.privileged"]
    assert verdict.findings[0].found == "true"


def test_the_pod_may_set_what_its_containers_leave_out():
    whole = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    left_out = {"runAsNonRoot": None, "seccompProfile": None}

    assert names(pod(left_out, {"securityContext": whole})) == set()
    assert names(pod({"runAsNonRoot": False}, {"securityContext": whole})) == {"Running as Non-root"}
    assert names(pod({}, {"securityContext": {"runAsNonRoot": False}})) == {"Running as Non-root"}


def test_a_user_namespace_relaxes_root_and_in_baseline_the_proc_mount():
    root = {"runAsUser": 0, "runAsNonRoot": False, "procMount": "Unmasked"}

    assert names(pod(root, {"hostUsers": False}), "baseline") == set()
    assert names(pod(root, {"hostUsers": False})) == {"/proc Mount Type"}
    assert names(pod(root, {"hostUsers": True})) == {
        "/proc Mount Type", "Running as Non-root", "Running as Non-root user",
    }  # fmt: skip


def test_windows_pods_are_exempt_from_linux_controls_only():
    bare = {"allowPrivilegeEscalation": None, "capabilities": None, "seccompProfile": None}

    assert names(pod(bare, {"os": {"name": "windows"}})) == set()
    assert names(pod({**bare, "runAsNonRoot": None}, {"os": {"name": "windows"}})) == {"Running as Non-root"}
    assert names(pod(bare, {"os": {"name": "linux"}})) == {"Privilege Escalation", "Capabilities", "Seccomp"}


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        ("Deployment", lambda one: {"spec": {"template": one}}),
        ("StatefulSet", lambda one: {"spec": {"template": one}}),
        ("Job", lambda one: {"spec": {"template": one}}),
        ("CronJob", lambda one: {"spec": {"jobTemplate": {"spec": {"template": one}}}}),
        ("PodTemplate", lambda one: {"template": one}),
    ],
)
def test_workloads_are_judged_by_their_template(kind, wrap):
    good, bad = pod(), pod(annotations={"container.apparmor.security.beta.kubernetes.io/c": "unconfined"})

    assert admitted(judge({"kind": kind, **wrap(good)}, "restricted"))
    assert names({"kind": kind, **wrap(bad)}) == {"AppArmor"}


@pytest.mark.parametrize("manifest", [None, 7, [], {}, {"kind": "Service", "spec": {}}, {"kind": ["Pod"]}])
def test_what_holds_no_pod_is_unknown_and_not_admitted(manifest):
    verdicts = judge(manifest, "baseline")

    assert {one.status for one in verdicts} == {"unknown"}
    assert not admitted(verdicts)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"containers": None}},
        {"spec": {"containers": "x"}},
        {"spec": {"containers": []}},
        {"spec": {"securityContext": True}},
        {"spec": {"volumes": {"name": "v"}}},
        {"spec": {"volumes": [None]}},
        {"ports": [80]},
        {"security": {"capabilities": []}},
        {"security": {"runAsUser": "0"}},
    ],
)
def test_a_field_of_another_type_is_unknown_and_not_admitted(change):
    found = refusing(pod(**change))

    assert found
    assert {one.status for one in found.values()} <= {"unknown", "violated"}
    assert "unknown" in {one.status for one in found.values()}


@pytest.mark.parametrize("value", ["true", 0, "", []])
def test_a_switch_of_another_type_is_not_admitted(value):
    assert names(pod(spec={"hostNetwork": value}), "baseline") == {"Host Namespaces"}


def test_controls_are_named_once_per_level():
    assert len({(one.name, one.level) for one in CONTROLS}) == len(CONTROLS)
    assert len(judge(pod(), "baseline")) == 12
    assert len(judge(pod(), "restricted")) == len(CONTROLS)
