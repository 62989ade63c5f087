"""The simulated runtime: a deterministic, vectorised world and the digital twin fitted from its readings."""
