"""Node pools: how many nodes a pool has, and of which machine type."""

from datetime import datetime

from domain.arguments import NodePoolChangeSku, NodePoolScale
from domain.changes import Patch
from tools.desired_action import DesiredAction


class ScaleNodePool(DesiredAction[NodePoolScale]):
    """Nodes are added or taken away; what ran on a node that goes is started elsewhere."""

    arguments = NodePoolScale

    def patches(self, wanted: NodePoolScale, at: datetime) -> tuple[Patch, ...]:
        """Write the count."""
        return (Patch(op="set", path=("node_pools", wanted.node_pool, "node_count"), value=wanted.node_count),)


class ChangeSku(DesiredAction[NodePoolChangeSku]):
    """Machines are exchanged one after another."""

    arguments = NodePoolChangeSku

    def patches(self, wanted: NodePoolChangeSku, at: datetime) -> tuple[Patch, ...]:
        """Write the machine type."""
        return (Patch(op="set", path=("node_pools", wanted.node_pool, "sku"), value=wanted.sku),)
