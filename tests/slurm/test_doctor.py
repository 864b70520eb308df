"""A real cluster is told as it is, and a node answers."""

import json

import pytest
from support.dev_cluster import DevCluster
from support.site import Site

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_a_real_cluster_passes_and_a_wrong_profile_of_it_does_not(
    site: Site, dev_cluster: DevCluster
) -> None:
    sound = json.loads(site.orchestrate("doctor", "--submit", "--json"))
    promises = {"main": {"gpus_per_node": 16, "time": "9d"}, "nono": {}}
    wrong = site.profile(partitions=promises, qos="urgent")
    told = site.orchestrate("doctor", "--json", "--cluster", str(wrong), code=1)

    found = [(one["check"], one["level"], one["found"]) for one in sound["findings"]]
    assert {level for _, level, _ in found} <= {"ok", "warn"}
    assert any(
        check == "node" and level == "ok" and "sees the run root: Python" in words
        for check, level, words in found
    )
    checks = {"slurm", "accounting", "account", "partitions", "submission", "node"}
    assert checks <= {check for check, _, _ in found}
    bad = {
        one["check"]: one["found"] for one in json.loads(told)["findings"] if one["level"] == "bad"
    }
    assert bad.keys() == {"account", "partitions", "submission"}
    assert "SLURM has no partition nono" in bad["partitions"]
    assert dev_cluster.run("squeue", "--noheader") == ""
    assert not site.root.path.exists()
