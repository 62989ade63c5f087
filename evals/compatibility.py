"""Would somebody who was built against the old contract still get along with the new one?

A reader built against an old schema must find everything it knew, in no wider form; a writer's old documents must
still be taken.
"""

import json
from collections.abc import Callable, Iterator, Mapping

from pydantic import JsonValue

Schema = Mapping[str, JsonValue]
_ANY = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


class Book:
    """One document's schemas, by the references that lie in it."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def open(self, schema: JsonValue) -> Schema:
        """Return the schema with its references followed, and a lone alternative unpacked."""
        while isinstance(schema, Mapping) and "$ref" in schema:
            node: JsonValue = dict(self._root)
            for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                node = node.get(part) if isinstance(node, Mapping) else None
            schema = node
        if isinstance(schema, Mapping) and isinstance(only := schema.get("allOf"), list) and len(only) == 1:
            return self.open(only[0])
        return schema if isinstance(schema, Mapping) else {}

    def choices(self, schema: JsonValue) -> list[Schema]:
        """Return the alternatives a value may take, one where there is no choice."""
        opened = self.open(schema)
        for word in ("anyOf", "oneOf"):
            if isinstance(found := opened.get(word), list):
                return [choice for one in found for choice in self.choices(one)]
        return [opened]


def broken_for_reader(
    old: JsonValue, new: JsonValue, books: tuple[Book, Book], at: str = "", depth: int = 0
) -> Iterator[str]:
    """Yield what a reader of the old form would trip over in the new one."""
    old_ones, new_ones = books[0].choices(old), books[1].choices(new)
    for one in new_ones:
        tries = [list(_read(known, one, books, at, depth)) for known in old_ones]
        if all(tries):
            yield from min(tries, key=len)


def broken_for_writer(
    old: JsonValue, new: JsonValue, books: tuple[Book, Book], at: str = "", depth: int = 0
) -> Iterator[str]:
    """Yield why a document of the old form would be refused by the new one."""
    old_ones, new_ones = books[0].choices(old), books[1].choices(new)
    for one in old_ones:
        tries = [list(_write(one, taken, books, at, depth)) for taken in new_ones]
        if all(tries):
            yield from min(tries, key=len)


def _read(old: Schema, new: Schema, books: tuple[Book, Book], at: str, depth: int) -> Iterator[str]:
    if wider := _types(new) - _types(old):
        yield f"{at or '/'}: may be {', '.join(sorted(wider))} now"
        return
    if (known := _values(old)) is not None and ((now := _values(new)) is None or now - known):
        yield f"{at or '/'}: has values that were unknown: {sorted((now or frozenset({'any'})) - known)}"
    required, promised = _required(old), _required(new)
    for name, schema in _properties(old).items():
        if name not in _properties(new):
            yield f"{at}/{name}: is gone"
        elif name in required and name not in promised:
            yield f"{at}/{name}: may be missing now"
        else:
            yield from _within(broken_for_reader, schema, _properties(new)[name], books, f"{at}/{name}", depth)
    for word in ("items", "additionalProperties"):
        if isinstance(old.get(word), Mapping) and isinstance(new.get(word), Mapping):
            yield from _within(broken_for_reader, old[word], new[word], books, f"{at}/*", depth)


def _write(old: Schema, new: Schema, books: tuple[Book, Book], at: str, depth: int) -> Iterator[str]:
    if refused := _types(old) - _types(new) - ({"integer"} if "number" in _types(new) else set()):
        yield f"{at or '/'}: may no longer be {', '.join(sorted(refused))}"
        return
    if (taken := _values(new)) is not None and ((sent := _values(old)) is None or sent - taken):
        yield f"{at or '/'}: no longer takes {sorted((sent or frozenset({'any'})) - taken)}"
    yield from _bounds(old, new, at)
    known, closed = _properties(new), new.get("additionalProperties") is False
    for name, schema in _properties(old).items():
        if name in known:
            yield from _within(broken_for_writer, schema, known[name], books, f"{at}/{name}", depth)
        elif closed:
            yield f"{at}/{name}: is no longer taken"
    for name in sorted(_required(new) - _required(old)):
        yield f"{at}/{name}: is required now"
    for word in ("items", "additionalProperties"):
        if isinstance(old.get(word), Mapping) and isinstance(new.get(word), Mapping):
            yield from _within(broken_for_writer, old[word], new[word], books, f"{at}/*", depth)


def _bounds(old: Schema, new: Schema, at: str) -> Iterator[str]:
    for word, tighter in [(w, max) for w in _LOWER] + [(w, min) for w in _UPPER]:
        bound, before = new.get(word), old.get(word)
        if not isinstance(bound, int | float):
            continue
        if not isinstance(before, int | float) or (tighter(bound, before) == bound and bound != before):
            yield f"{at or '/'}: {word} is {bound} now"
    if new.get("pattern") not in (None, old.get("pattern")):
        yield f"{at or '/'}: must fit another pattern now"


Judge = Callable[[JsonValue, JsonValue, tuple[Book, Book], str, int], Iterator[str]]
_DEPTH = 12
"""Deeper than any contract of ours; a schema that holds itself is read this far."""


def _within(
    judge: Judge, old: JsonValue, new: JsonValue, books: tuple[Book, Book], at: str, depth: int
) -> Iterator[str]:
    if depth < _DEPTH:
        yield from judge(old, new, books, at, depth + 1)


def _types(schema: Schema) -> frozenset[str]:
    stated = schema.get("type")
    if isinstance(stated, str):
        return frozenset({stated})
    if isinstance(stated, list):
        return frozenset(str(one) for one in stated)
    if "const" in schema or "enum" in schema:
        return frozenset(_type_of(one) for one in _values(schema) or ())
    return _ANY


def _type_of(value: str) -> str:
    one = json.loads(value)
    match one:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case _:
            return "string"


def _values(schema: Schema) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset({json.dumps(schema["const"])})
    return frozenset(json.dumps(one) for one in stated) if isinstance(stated := schema.get("enum"), list) else None


def _properties(schema: Schema) -> Mapping[str, JsonValue]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _required(schema: Schema) -> frozenset[str]:
    found = schema.get("required")
    return frozenset(str(one) for one in found) if isinstance(found, list) else frozenset()


def broken_events(old: Schema, new: Schema) -> list[str]:
    """Compare published event models by type. Platform events we also read: their old form must still be taken."""
    found: list[str] = []
    for name, schema in old.items():
        if name not in new:
            found.append(f"{name}: is no longer published")
            continue
        books = (_book(schema), _book(new[name]))
        found += [f"{name}{problem}" for problem in broken_for_reader(schema, new[name], books)]
        if name.startswith("event:runtime."):
            found += [f"{name}{problem}" for problem in broken_for_writer(schema, new[name], books)]
    return found


def broken_api(old: Schema, new: Schema) -> list[str]:
    """Compare two OpenAPI documents: every old request is still taken, every old answer still understood."""
    books, found = (Book(old), Book(new)), list[str]()
    for path, methods in _map(old, "paths").items():
        for method, operation in _as(methods).items():
            now = _map(_map(_map(new, "paths"), path), method)
            if not now:
                found.append(f"{method} {path}: is gone")
                continue
            problems = [*_broken_request(_as(operation), now, books), *_broken_answers(_as(operation), now, books)]
            found += [f"{method} {path} {problem}" for problem in problems]
    return found


def _broken_request(old: Schema, new: Schema, books: tuple[Book, Book]) -> Iterator[str]:
    known = {(p["in"], p["name"]): p for p in _list(old, "parameters")}
    for parameter in _list(new, "parameters"):
        before = known.get((parameter["in"], parameter["name"]))
        if before is None and parameter.get("required"):
            yield f"{parameter['name']}: is required now"
        elif before is not None:
            name = f"{parameter['name']}: "
            yield from (name + p for p in broken_for_writer(before["schema"], parameter["schema"], books))
    for form, content in _map(_map(old, "requestBody"), "content").items():
        now = _map(_map(_map(new, "requestBody"), "content"), form)
        if not now:
            yield f"a body as {form} is no longer taken"
        else:
            yield from broken_for_writer(_as(content).get("schema"), now.get("schema"), books)


def _broken_answers(old: Schema, new: Schema, books: tuple[Book, Book]) -> Iterator[str]:
    for status, answer in _map(old, "responses").items():
        now = _map(_map(new, "responses"), status)
        for form, content in _map(_as(answer), "content").items():
            other = _map(_map(now, "content"), form)
            if not other:
                yield f"{status}: is not answered as {form}"
            else:
                problems = broken_for_reader(_as(content).get("schema"), other.get("schema"), books)
                yield from (f"{status} {problem}" for problem in problems)


def _as(node: JsonValue) -> Schema:
    return node if isinstance(node, Mapping) else {}


def _map(node: Schema, name: str) -> Schema:
    found = node.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(node: Schema, name: str) -> list[dict[str, JsonValue]]:
    found = node.get(name)
    return [dict(one) for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _book(schema: JsonValue) -> Book:
    return Book(schema if isinstance(schema, Mapping) else {})
