"""Which Ray cluster runs the jobs of ``executor: ray``."""

import re
from typing import Annotated

from pydantic import AfterValidator

from orchestrator.config.section import Section

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*):(?P<port>[0-9]{1,5})")


def _host_and_port(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if not found or not 0 < int(found["port"]) < 65536:
        raise ValueError(
            f"{text!r} is no address of a Ray cluster; write its head's host and port, such as "
            "node1:6379, as 'ray start --head' prints it (ray:// and http:// lead to other "
            "services of Ray)"
        )
    return text


class RaySite(Section):
    """A Ray cluster as its users reach it."""

    address: Annotated[str, AfterValidator(_host_and_port)] | None = None
    """Its head's host:port; jobs are launched on one of its nodes. null: a cluster is started on
    this machine for each submission, and ends with it."""
