"""Scaling policy: replace the policy that owns a service's replicas."""

from datetime import datetime

from domain.arguments import ScalingPolicyUpdate
from domain.changes import Patch
from tools.desired_action import DesiredAction


class UpdateScalingPolicy(DesiredAction[ScalingPolicyUpdate]):
    """The policy is written and taken back as a whole."""

    arguments = ScalingPolicyUpdate

    def patches(self, wanted: ScalingPolicyUpdate, at: datetime) -> tuple[Patch, ...]:
        """Write the policy."""
        policy = wanted.policy.model_dump(mode="json")
        return (Patch(op="set", path=("services", wanted.service, "scaling"), value=policy),)
