"""The base of every section of a configuration: frozen, strict, no unknown keys."""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of settings; an unknown key or a wrong type is refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
        defer_build=True,  # until first used: a command line uses few of them
    )

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Check and build from what YAML or JSON gives: mappings, lists, numbers, strings.

        It goes through JSON because only there does pydantic's strict mode build the
        dataclasses of ``model.config`` from mappings.

        Raises:
            pydantic.ValidationError: with the location of every fault.
        """
        return cls.model_validate_json(json.dumps(plain))

    @classmethod
    def from_record(cls, plain: Any) -> Self:
        """``from_plain`` of what a program wrote: a newer one's further keys are passed over.

        Raises:
            pydantic.ValidationError: with the location of every fault.
        """
        return cls.model_validate_json(json.dumps(plain), extra="ignore")

    def to_plain(self) -> dict[str, Any]:
        """The inverse of ``from_plain``."""
        return self.model_dump(mode="json")
