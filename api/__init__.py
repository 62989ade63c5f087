"""Opsmesh's own HTTP surface: authenticate, scope, call, render.

Law: modules here import `domain` and FastAPI only. What a call does is asked of the protocols in `api.ports`, which the
mesh ties to governance and grounding. A thing that decides or stores anything does not belong here.
"""
