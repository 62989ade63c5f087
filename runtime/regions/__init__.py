"""Regions of a target: which there are, who says that one is lost, and how much room there is elsewhere."""
