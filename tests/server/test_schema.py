"""What the OpenAPI document allows, and much that it does not, is asked for: nothing makes the server fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from iic_rt.server.app import create_app
from tests.server.conftest import encoded, open_small

EXAMPLES = 15  # of each route and way of making them up
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

# Files are images and masks as often as not.
FILES = [encoded(np.full((9, 12, 3), 90, np.uint8), suffix) for suffix in (".png", ".jpg", ".webp")]
FILES.append(encoded(np.eye(9, 12, dtype=np.uint8) * 255))
schemathesis.openapi.format("binary", st.sampled_from(FILES) | st.binary(max_size=100))

DOCUMENT = create_app(open_small).routes.openapi()
OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()]
RIGHT, WRONG = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
CASES = [(found, mode) for found in OPERATIONS for mode in (RIGHT, WRONG) if mode is RIGHT or found.method == "post"]


@pytest.mark.parametrize(("operation", "mode"), CASES, ids=[f"{found.label} {mode.value}" for found, mode in CASES])
def test_answers_are_those_of_the_document(operation: Any, mode: Any, served: str) -> None:
    """Status, type and shape of each answer, and no 500."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=served, checks=CHECKS)

    ask()
