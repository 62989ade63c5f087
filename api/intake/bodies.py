"""Reading a request body without trusting its size: declared, streamed and unpacked bytes are all counted.

A body over the limit is refused without being read to its end; what was seen of it goes to quarantine.
"""

import zlib

from starlette.requests import Request

from domain.intake import RefusedInput

KEPT_BYTES = 4096
_GZIP = 16 + zlib.MAX_WBITS
_UNPACKED_PER_BYTE = 1032
"""The most DEFLATE can expand (zlib's documentation): a bound on what one chunk may become."""


async def read_body(request: Request, limit: int) -> bytes | RefusedInput:
    """Return the body, gunzipped when it says so, or why it was not taken. `limit` bounds both forms, in bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        return _too_large(limit, b"", int(declared))
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"identity", "gzip"}:
        return RefusedInput(reason="unsupported", detail=f"content-encoding {coding!r}; gzip is known", body=b"")
    packed = await _streamed(request, limit)
    if isinstance(packed, RefusedInput) or coding == "identity":
        return packed
    return gunzip(packed, limit)


async def _streamed(request: Request, limit: int) -> bytes | RefusedInput:
    parts: list[bytes] = []
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > limit:
            return _too_large(limit, b"".join(parts)[:KEPT_BYTES] or chunk[:KEPT_BYTES], seen)
        parts.append(chunk)
    return b"".join(parts)


def gunzip(packed: bytes, limit: int) -> bytes | RefusedInput:
    """Return the unpacked bytes, never making more than `limit` of them."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        return RefusedInput(reason="malformed", detail=f"not gzip: {error}", body=packed)
    if len(body) > limit:
        return _too_large(limit, body[:KEPT_BYTES], min(len(packed) * _UNPACKED_PER_BYTE, limit + 1))
    if not unpacker.eof:
        return RefusedInput(reason="malformed", detail="the gzip stream ends too early", body=packed)
    return body


def _too_large(limit: int, seen: bytes, size: int) -> RefusedInput:
    return RefusedInput(reason="too_large", detail=f"the body is larger than {limit} bytes", body=seen, size=size)
