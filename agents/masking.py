"""Takes secrets and identifiers out of text before a model sees it. One way: nothing is ever put back.

Patterns are those of common secret scanners (token prefixes, key blocks, connection strings) plus addresses of people
and machines. What looks like a secret is one: masking too much costs an explanation, too little costs a key.
"""

import re

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), "<key>"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), "<token>"),
    (re.compile(r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{6,}"), "<token>"),
    (re.compile(r"\b(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abprs])[-_][\w-]{8,}"), "<token>"),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}\b"), "<key>"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:]*:[^\s/@]*@"), r"\1<credentials>@"),
    (
        re.compile(
            r"(?i)\b([\w.-]*(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|accountkey|token|sig))"
            r"(\"?\s*[=:]\s*\"?)[^\s\",;&]+"
        ),
        r"\1\2<secret>",
    ),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<email>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "<ip>"),
    (re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}(?![\w:])"), "<ip>"),
    (re.compile(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b[A-Za-z0-9+/_-]{40,}={0,2}"), "<secret>"),
    (re.compile(r"\b(?:\d[ -]?){13,19}\b"), "<number>"),
)


def masked(text: str) -> str:
    """Return the text with everything that looks like a secret or an identifier replaced by its kind."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
