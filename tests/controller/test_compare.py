from orchestrator.controller.compare import Differs, differences


def test_what_one_lacks_and_what_both_have_otherwise_is_told_by_aspect() -> None:
    one = {"settings": {"optim.lr": 1e-3, "seed": 0}, "code": {"hash": "a"}}
    other = {"settings": {"optim.lr": 1e-3, "seed": 1, "model.gate.mode": "add"}, "code": {}}

    assert list(differences(one, other)) == [
        Differs("settings", "model.gate.mode", None, "add"),
        Differs("settings", "seed", 0, 1),
        Differs("code", "hash", "a", None),
    ]
