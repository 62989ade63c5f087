"""The rooms of the house and what each may bring in from outside.

Which room may import which other room is held by the import contracts in pyproject.toml. This table holds the other
half: the vendors. A vendor library lives in the few rooms that adapt it, so that replacing it touches those rooms only.
"""

ROOMS = (
    "domain",
    "analysis",
    "storage",
    "grounding",
    "agents",
    "governance",
    "tools",
    "runtime",
    "api",
    "mesh",
    "evals",
    "cli",
    "infra",
)

# Rooms that ship as the product's library; evals and cli are its programs.
PRODUCT = tuple(room for room in ROOMS if room not in {"evals", "cli"})

# Top-level names the checkout puts on the import path.
OWNED_NAMES = (*ROOMS, "chatops", "console", "tests")

# Vendor's import name -> rooms that may import it. pydantic is the language of every room.
VENDORS: dict[str, tuple[str, ...]] = {
    "pydantic": ROOMS,
    "numpy": ("analysis", "grounding", "agents", "runtime", "mesh", "evals"),
    "sqlalchemy": ("storage", "grounding", "governance", "runtime", "mesh", "evals"),
    "alembic": ("storage",),
    "chromadb": ("grounding",),
    "onnxruntime": ("grounding",),
    "tokenizers": ("grounding",),
    "langgraph": ("agents",),
    "openai": ("agents", "grounding"),
    "cedarpy": ("governance",),
    "arro3": ("runtime",),
    "cryptography": ("governance", "storage", "runtime"),
    "jwt": ("governance", "runtime"),
    "rfc8785": ("domain", "governance"),
    "cloudevents": ("mesh",),
    "google": ("api", "mesh"),
    "opentelemetry": ("agents", "tools", "api", "mesh"),
    "tenacity": ("agents", "grounding", "tools"),
    "httpx": ("tools", "runtime", "mesh", "evals", "cli"),
    "fastapi": ("api", "runtime", "mesh"),
    "starlette": ("api", "runtime", "mesh"),
    "uvicorn": ("mesh", "cli"),
    "ulid": ("mesh",),
    "yaml": ("runtime", "tools", "mesh", "evals", "cli"),
    "pulumi": ("infra", "tools"),
    "rich": ("evals", "cli"),
    "typer": ("cli",),
    "plotext": ("cli",),
    "plotly": ("evals",),
    "psycopg": ("storage",),
}
