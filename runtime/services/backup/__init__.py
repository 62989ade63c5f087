"""Backup and restore: consistent cuts of one tenant, sealed and proven, and their way back beside everybody else."""
