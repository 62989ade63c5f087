"""The extension's services: one file or small package each, reached over `/runtime` and nowhere else.

Each brings its own router; the app mounts what this table lists.
"""

from runtime.services import compliance

SERVICE_ROUTERS = (compliance.router,)
