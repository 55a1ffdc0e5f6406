"""Values that do not fit: every sentence is ours, with the location, the value and the limit."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl, PastDate, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, core_schema

from sepkit.config_errors import explain, faults

THEIRS = (
    "Input",
    "should",
    "a valid",
    "unable to",
    "dictionary",
    "tuple",
    "integer",
    "pydantic",
    "permitted",
    "required",
)


class Colour(Enum):
    RED = "red"


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int = 1


def sentence(kind: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, kind]).validate_python({"key": value})
    return explain(caught.value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, "many", '"many" is not a whole number'),
        (int, 2.5, "2.5 is not a whole number"),
        (int, [1], "a list is not a whole number"),
        (int, date(1979, 5, 27), "1979-05-27 is not a whole number"),
        (int, "9" * 5000, "too many digits"),
        (float, "fast", '"fast" is not a number'),
        (Decimal, "fast", '"fast" is not a number'),
        (bool, "maybe", '"maybe" is neither true nor false'),
        (bool, {}, "a table is neither true nor false"),
        (str, 3, '3 is not a text; put it in quotes: "..."'),
        (str, True, "true is not a text"),
        (Path, 3, '3 is not a path; put it in quotes: "..."'),
        (Annotated[int, Field(ge=1)], 0, "0 is below 1"),
        (Annotated[float, Field(gt=0)], -0.5, "-0.5 is not above 0"),
        (Annotated[float, Field(le=0.3)], 2, "2 is above 0.3"),
        (Annotated[float, Field(lt=1)], 1, "1 is not below 1"),
        (Annotated[int, Field(multiple_of=4)], 6, "6 is not a multiple of 4"),
        (Annotated[float, Field(allow_inf_nan=False)], float("nan"), "nan is not finite"),
        (Annotated[str, Field(min_length=2)], "a", '"a" is too short; write at least 2 characters'),
        (Annotated[str, Field(max_length=2)], "abc", '"abc" is too long; write at most 2 characters'),
        (Annotated[str, Field(pattern="^a+$")], "노래", '"노래" does not match the pattern ^a+$'),
        (Annotated[list[int], Field(min_length=2)], [1], "it has too few entries, 1; give at least 2"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "it has too many entries; give at most 1"),
        (list[int], 3, '3 is not a list; write it in brackets, such as ["..."]'),
        (tuple[int, ...], "x", '"x" is not a list'),
        (tuple[int, int], [1], "it is missing; set it"),
        (set[int], 3, "3 is not a list"),
        (dict[str, int], 3, "3 is not a table"),
        (Table, [], "a list is not a table"),
        (Table, {"m": 1}, "there is no such key; remove it"),
        (Literal["adam", "sgd"], "adm", '"adm" is none of "adam" or "sgd". Did you mean "adam"?'),
        (Literal["adam", 16], 3, '3 is none of "adam" or 16'),
        (Colour, "reed", '"reed" is none of "red". Did you mean "red"?'),
        (None, 3, "3 is not accepted; leave the key out"),
        (date, "soon", '"soon" does not fit (date from datetime parsing)'),
        (datetime, "soon", '"soon" does not fit (datetime'),
        (time, "soon", '"soon" does not fit (time parsing)'),
        (timedelta, "soon", '"soon" does not fit (time delta parsing)'),
        (PastDate, date(9999, 1, 1), "9999-01-01 does not fit (date past)"),
        (AwareDatetime, datetime(2026, 1, 1), "does not fit (timezone aware)"),  # noqa: DTZ001
        (UUID, "x", '"x" does not fit (uuid parsing)'),
        (HttpUrl, "x", '"x" does not fit (url parsing)'),
    ],
)
def test_a_value_that_does_not_fit_has_a_sentence_of_ours(kind, value, expected):
    text = sentence(kind, value)
    assert text.startswith("key")
    assert expected in text
    assert not [word for word in THEIRS if word in text]


def test_no_kind_of_fault_speaks_as_pydantic_does():
    numbers = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "actual_length", "expected_version")
    numbers += ("max_digits", "decimal_places", "whole_digits", "tz_expected", "tz_actual")
    texts = ("expected", "field_type", "pattern", "class_name", "class", "tag", "discriminator")
    texts += ("expected_tags", "attribute", "method_name", "encoding", "encoding_error", "expected_schemes")
    kinds = get_args(core_schema.ErrorType)
    for kind in kinds:
        context = dict.fromkeys(numbers, 3) | dict.fromkeys(texts, "ours")
        context["error"] = ValueError("ours") if kind in ("value_error", "assertion_error") else "ours"
        fault = InitErrorDetails(type=kind, loc=("train", "epochs"), input="v", ctx=context)
        text = explain(ValidationError.from_exception_data("config", [fault]))
        assert text.startswith("train.epochs")
        assert not [word for word in THEIRS if word in text.replace(kind.replace("_", " "), "")], text
    assert len(kinds) > 100


def test_all_faults_are_named_and_a_list_of_bad_entries_is_not_too_short_as_well():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, Annotated[tuple[int, ...], Field(min_length=1)]]).validate_python({"a": ["x"], "b": []})
    assert faults(caught.value) == ['a.0: "x" is not a whole number', "b: it has too few entries, 0; give at least 1"]
