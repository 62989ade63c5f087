"""Write the status page: ``python -P -m evals.status --write``; without it, tell whether the page is up to date."""

import sys

from evals.status.page import PAGE, page
from evals.status.rows import ROWS

if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(ROWS), encoding="utf-8")
    sys.exit(PAGE.read_text(encoding="utf-8") != page(ROWS))
