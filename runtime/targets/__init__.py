"""Compute targets: where desired state becomes live. All of them pass one contract suite."""
