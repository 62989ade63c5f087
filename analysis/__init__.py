"""Pure numerics: arrays in, findings out. One implementation serves agents, services, workers and evaluations.

Nothing here reads a clock, a file or a name's meaning: entities are opaque strings, metrics are known by their kind.
"""
