"""Names that a random world gives its tenants, teams and services: what people call such things, each once.

Names say what kind of thing a service is, as they do in real estates, and nothing about how it behaves.
"""

import numpy as np

_HOUSES = (
    "alder", "basalt", "cirrus", "dovetail", "everly", "foxglove", "granite", "halcyon", "indigo", "jasper", "kestrel",
    "lantern", "meridian", "northwind", "orchard", "pinecrest", "quill", "rowan", "saffron", "tidewater",
)  # fmt: skip
_TRADES = (
    "retail", "media", "logistics", "health", "travel", "energy", "games", "insurance", "foods", "mobility", "learning",
    "bank",
)  # fmt: skip
_TEAMS = (
    "atlas", "beacon", "compass", "dynamo", "echo", "flux", "garnet", "harbour", "ion", "jupiter", "kraken",
    "lighthouse", "mosaic", "nimbus", "orbit", "prism",
)  # fmt: skip
_SUBJECTS = (
    "account", "address", "audit", "basket", "billing", "booking", "campaign", "cart", "catalogue", "chat", "claims",
    "comment", "consent", "contract", "coupon", "courier", "credit", "customer", "device", "discount", "document",
    "driver", "email", "entitlement", "export", "favourites", "feed", "fraud", "geo", "gift", "image", "import",
    "inventory", "invoice", "label", "ledger", "listing", "location", "loyalty", "matching", "media", "menu",
    "message", "meter", "offer", "onboarding", "order", "parcel", "partner", "passenger", "payment", "payout", "photo",
    "playlist", "policy", "preference", "price", "product", "profile", "promotion", "quote", "rating", "receipt",
    "recommendation", "refund", "report", "reservation", "return", "review", "reward", "route", "schedule", "search",
    "seat", "segment", "session", "shipment", "slot", "stock", "subscription", "supplier", "tariff", "tax", "ticket",
    "timeline", "token", "tracking", "translation", "trip", "user", "vehicle", "voucher", "wallet", "warehouse",
    "wishlist",
)  # fmt: skip
_FORMS: dict[str, tuple[str, ...]] = {
    "external": ("{}-provider", "{}-partner-api", "{}-vendor", "{}-saas"),
    "store": ("{}-db", "{}-store", "{}-postgres", "{}s-primary", "{}-records"),
    "middle": ("{}", "{}-service", "{}-api", "{}-engine", "{}-core", "{}s", "{}-resolver", "{}-manager"),
    "entry": ("{}-web", "{}-gateway", "{}-bff", "{}-app", "{}-portal", "{}-edge"),
    "worker": ("{}-worker", "{}-ingest", "{}-indexer", "{}-batch", "{}-processor"),
}


class Names:
    """Draws names that were not drawn before; a world larger than the language numbers its later ones."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._taken: set[str] = set()

    def tenants(self, count: int) -> list[str]:
        """Names of that many tenants (at most as many as there are houses)."""
        return [f"{_HOUSES[int(k)]}-{self._one(_TRADES)}" for k in self._rng.permutation(len(_HOUSES))[:count]]

    def team(self) -> str:
        """Name of an owning team; teams own several services."""
        return f"team-{self._one(_TEAMS)}"

    def service(self, role: str) -> str:
        """A new name for a service of a role (external, store, middle, entry, worker)."""
        name, tries = self._plain(role), 1
        while name in self._taken:
            # The plain names run out in a large estate: later ones are numbered.
            name, tries = f"{self._plain(role)}-{tries}", tries + 1
        self._taken.add(name)
        return name

    def _plain(self, role: str) -> str:
        return self._one(_FORMS[role]).format(self._one(_SUBJECTS))

    def _one(self, words: tuple[str, ...]) -> str:
        return words[int(self._rng.integers(len(words)))]


_FEATURES = (
    "async-writes", "batched-lookups", "compact-payload", "dark-mode", "eager-prefetch", "fallback-prices",
    "inline-images", "instant-refund", "live-preview", "new-ranking", "one-click", "partial-results", "rich-cards",
    "second-opinion", "shadow-reads", "similar-items", "stricter-checks", "v2-serializer",
)  # fmt: skip


def feature_flags(rng: np.random.Generator) -> tuple[str, ...]:
    """Configuration keys of the features a service can switch: one to three, as they are named and forgotten."""
    picked = rng.permutation(len(_FEATURES))[: int(rng.integers(1, 4))]
    return tuple(f"feature.{_FEATURES[int(k)]}" for k in sorted(picked))
