"""Carbon: energy and emissions of what runs, who bears them, and what would emit less."""

from runtime.services.carbon.routes import router

__all__ = ["router"]
