"""The tiny data sets, for replay."""

from tests.support.recordings import nezha, petshop

__all__ = ["nezha", "petshop"]
