"""Why a parameter or a field is refused, in our own words: by the types of pydantic's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Context = Mapping[str, Any]
"""What the limit was, and the like; pydantic's name for each is in its list of error types."""

_WHOLE: Final = "must be a whole number"
_TIME: Final = "must be a time like 2026-01-31T12:00:00Z"
_OBJECT: Final = "must be an object"


def _characters(context: Context) -> str:
    least = context["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {least} characters"


def _items(context: Context) -> str:
    least = context["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {least} items"


_SENTENCES: Final[Mapping[str, str | Callable[[Context], str]]] = {
    "missing": "is missing",
    "extra_forbidden": "is not a field that is known here",
    "value_error": "{error}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "string_too_short": _characters,
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": "must say its time zone, as in 2026-01-31T12:00:00Z",
    "list_type": "must be a list",
    "too_short": _items,
    "too_long": "must have at most {max_length} items",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
}


def is_known(error_type: str) -> bool:
    """Whether there is a sentence for errors of this type."""
    return error_type in _SENTENCES


def reason(error_type: str, context: Context) -> str:
    """The sentence, to stand behind the name of the field."""
    sentence = _SENTENCES.get(error_type, "is not valid")
    return sentence.format_map(context) if isinstance(sentence, str) else sentence(context)
