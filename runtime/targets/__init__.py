"""Compute targets: where desired state becomes live. All that can act pass one contract suite; one only watches."""
