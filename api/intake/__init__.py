"""The way in over HTTP: one file per kind of sender, pure mappings beside one handler that counts every byte."""
