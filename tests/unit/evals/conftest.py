"""The tiny data sets, for the loaders' and scorers' tests."""

from tests.support.recordings import nezha, petshop

__all__ = ["nezha", "petshop"]
