"""The extension's services: one file or small package each, reached over `/runtime` and nowhere else."""
