"""Sentences for values of a config that do not fit: the location, the value, what is wrong with it, what is meant."""

import json
import re
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import core_schema

from sepkit.errors import did_you_mean

_WHOLE = "{value} is not a whole number"
_NUMBER = "{value} is not a number"
_SWITCH = "{value} is neither true nor false"
_TEXT = '{value} is not a text; put it in quotes: "..."'
_LIST = '{value} is not a list; write it in brackets, such as ["..."]'
_TABLE = '{value} is not a table; write one, such as {{name = "..."}}'
_ONE_OF = "{value} is none of {expected}"

# pydantic's kinds of fault -> the sentence. A kind that is not here, which only a plugin's type can have, has `_OTHER`.
_SENTENCES = {
    "json_invalid": "it is not valid JSON ({error})",
    "missing": "it is missing; set it",
    "missing_argument": "it is missing; set it",
    "extra_forbidden": "there is no such key; remove it",
    "unexpected_keyword_argument": "there is no such key; remove it",
    "invalid_key": "{value} is not a key; write keys as text",
    "greater_than": "{value} is not above {gt}",
    "greater_than_equal": "{value} is below {ge}",
    "less_than": "{value} is not below {lt}",
    "less_than_equal": "{value} is above {le}",
    "multiple_of": "{value} is not a multiple of {multiple_of}",
    "finite_number": "{value} is not finite",
    "too_short": "it has too few entries, {actual_length}; give at least {min_length}",
    "too_long": "it has too many entries; give at most {max_length}",
    "string_type": _TEXT,
    "string_unicode": "{value} is not valid Unicode",
    "string_too_short": "{value} is too short; write at least {min_length} characters",
    "string_too_long": "{value} is too long; write at most {max_length} characters",
    "string_pattern_mismatch": "{value} does not match the pattern {pattern}",
    "string_not_ascii": "{value} is not plain ASCII",
    "path_type": '{value} is not a path; put it in quotes: "..."',
    "enum": _ONE_OF,
    "literal_error": _ONE_OF,
    "none_required": "{value} is not accepted; leave the key out",
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "{value} has too many digits",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "deque_type", "iterable_type"), _LIST),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type", "named_tuple_type"),
        _TABLE,
    ),
    "union_tag_invalid": "{tag} is none of {expected_tags}",
}
_OTHER = "{value} does not fit ({kind})"
_KINDS = frozenset(get_args(core_schema.ErrorType))


def explain(error: ValidationError) -> str:
    """Return all faults of a ValidationError in one line."""
    return "; ".join(faults(error))


def faults(error: ValidationError) -> list[str]:
    """Return a sentence for each fault of a ValidationError. A list of bad entries is not too short as well."""
    found = error.errors(include_url=False)
    within = {fault["loc"][:n] for fault in found for n in range(len(fault["loc"]))}
    return [_sentence(fault) for fault in found if fault["type"] != "too_short" or fault["loc"] not in within]


def _sentence(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    kind, context, value = fault["type"], fault.get("ctx", {}), _shown(fault["input"])
    sentence = _SENTENCES.get(kind, _OTHER if kind in _KINDS else "")
    if sentence and kind not in ("value_error", "assertion_error"):
        text = sentence.format(value=value, kind=kind.replace("_", " "), **{k: _plain(v) for k, v in context.items()})
        if sentence == _ONE_OF:
            text += "." + did_you_mean(str(fault["input"]), re.findall(r"'([^']*)'", str(context["expected"])))
    else:  # the words of a component
        text = str(context.get("error", fault["msg"]))
        where += f" = {value}" if where and isinstance(fault["input"], str | int | float) else ""
    return f"{where}: {text}".rstrip(".") if where else text.rstrip(".")


def _shown(value: object) -> str:
    """Return a value as TOML has it, but no more than the kind of a table or list."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
    return str(value)


def _plain(limit: object) -> str:
    return f"{limit:.12g}" if isinstance(limit, float) else str(limit).replace("'", '"')
