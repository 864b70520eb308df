from orchestrator.results.provenance import Made, flags, of_ours, versions


def made(code: str, data: str = "d", probed: str = "p", *, older: bool = False) -> Made:
    sets = {"codes": code, "data": data, "probed": probed}
    return Made(**{name: frozenset({value}) for name, value in sets.items()}, older=older)


def test_what_results_of_a_row_have_not_in_common_is_told_with_its_number() -> None:
    assert flags([made("a"), made("a")]) == ()
    assert flags([made("a"), made("b"), made("c", older=True)]) == (
        "3 versions of code",
        "older code (1 of 3)",
    )
    assert flags([made("a", "x", "l"), made("a", "y", "m"), Made()]) == (
        "2 versions of the data",
        "2 lists of probed images",
    )
    assert flags([Made(codes=frozenset({"a", "b"}))]) == ("2 versions of code",)
    assert flags([]) == ()


def test_of_a_users_own_variant_the_code_that_others_are_without_sets_it_not_apart() -> None:
    own = [made("a-own"), made("a-other")]

    assert versions(own) == ["2 versions of code"]
    assert versions([of_ours(one) for one in (*own, made("a"))]) == []
    assert versions([of_ours(one) for one in (made("a-own"), made("b"))]) == ["2 versions of code"]
