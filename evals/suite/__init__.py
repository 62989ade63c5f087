"""The suite: many episodes over two processes, resumable; their summary, comparison, report and capture."""
