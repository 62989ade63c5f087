"""Who may do what: identities, facts, policies, the command's path, approvals, grants and the audit.

Law: modules here import `domain` and `storage` only. Silence or failure means no. A thing that touches a runtime, reads
telemetry or renders for people does not belong here.
"""
