import json

import pytest

from orchestrator.errors import RootError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, parts, read_orders, standing_orders, write_order


def cancel(*jobs: str, time: float = 100.0) -> Order:
    return Order(what="cancel", jobs=list(jobs), time=time, who="ann")


def lift(order: Order, *jobs: str, time: float = 200.0) -> Order:
    return Order(what="lift", jobs=list(jobs), lifts=[order.id], time=time)


def standing(root: Root, *orders: Order) -> dict[str, list[str]]:
    for order in orders:
        write_order(root, order)
    return {
        job: [o.id for o in found]
        for job, found in standing_orders(read_orders(root)).cancels.items()
    }


def test_a_cancel_order_stands_for_its_jobs(root: Root) -> None:
    order = cancel("a", "b")

    assert standing(root) == {}
    assert standing(root, order) == {"a": [order.id], "b": [order.id]}


def test_a_lift_ends_an_order_for_its_own_jobs_only(root: Root) -> None:
    order = cancel("a", "b")

    assert standing(root, order, lift(order, "a")) == {"b": [order.id]}


def test_a_lift_ends_the_order_it_names_even_by_an_older_clock(root: Root) -> None:
    order = cancel("a")

    assert standing(root, lift(order, "a", time=1.0), order) == {}


def test_of_two_cancel_orders_the_one_not_lifted_still_stands(root: Root) -> None:
    early, late = cancel("a", time=100.0), cancel("a", time=150.0)

    assert standing(root, early, late, lift(early, "a")) == {"a": [late.id]}
    assert standing(root, lift(late, "a")) == {}


def test_a_lift_is_no_order_against_a_job_and_cannot_end_one_of_the_future(root: Root) -> None:
    order = cancel("a")

    assert standing(root, order, lift(order, "a"), cancel("b")).keys() == {"b"}
    again = cancel("a", time=100.0)
    assert standing(root, again)["a"] == [again.id]


def test_orders_of_one_moment_do_not_collide_and_come_oldest_first(root: Root) -> None:
    orders = [cancel("a", time=time) for time in (5.0, 5.0, 10**10, 7.0)]
    for order in orders:
        write_order(root, order)

    assert [order.time for order in read_orders(root)] == [5.0, 5.0, 7.0, 10**10]
    assert {order.id for order in read_orders(root)} == {order.id for order in orders}


def test_parts_of_an_order_stand_side_by_side_and_are_made_once(root: Root) -> None:
    order = Order(what="afresh", jobs=["a", "b", "c"], last={"a": 1, "b": 2, "c": 3})
    for jobs in ({"a", "b"}, {"b", "c"}, {"c", "b"}):
        for part in parts(parts([order], jobs), jobs, read_orders(root)):
            write_order(root, part)

    assert standing_orders(read_orders(root)).discarded == order.last
    assert sorted(one.jobs for one in read_orders(root)) == [["a", "b"], ["c"]]
    assert parts([order], {"b", "c"}) == parts(parts([order], {"a", "b", "c"}), {"c", "b"})


def test_a_part_that_an_older_program_cut_keeps_no_other_part_out(root: Root) -> None:
    order = cancel("a", "b")
    write_order(root, order)
    (other,) = parts([order.model_copy(update={"jobs": ["b", "c"]})], {"b", "c"}, [order])

    assert other.id != order.id
    assert standing(root, other).keys() == {"a", "b", "c"}


def test_a_lift_of_an_order_lifts_its_parts(root: Root) -> None:
    order = cancel("a", "b", "c")
    for jobs in ({"a", "x"}, {"b", "c"}):
        for part in parts([order, lift(order, "a", "b")], jobs, read_orders(root)):
            write_order(root, part)

    assert standing(root).keys() == {"c"}


def test_an_order_of_a_kind_from_a_newer_program_is_passed_over(root: Root) -> None:
    order = cancel("a")
    newer = {**order.to_plain(), "what": "hold", "until": "tomorrow"}
    root.orders.mkdir()
    (root.orders / "000000000000001-x.json").write_text(json.dumps(newer))
    (root.orders / ".tmp-000000000000001-x.json-0123").write_text("{")

    assert standing(root, order) == {"a": [order.id]}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"what": "cancel"}', b"\xff", b"[]"])
def test_a_damaged_order_is_an_error_because_it_may_be_a_cancel(root: Root, content: bytes) -> None:
    root.orders.mkdir()
    (root.orders / "000000000000001-x.json").write_bytes(content)

    with pytest.raises(RootError, match=r"000000000000001-x.json is damaged"):
        read_orders(root)
