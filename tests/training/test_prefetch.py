import threading

import pytest

from affetto.training.batches import prefetch


@pytest.mark.parametrize("threaded", [False, True])
def test_all_come_in_order(threaded):
    assert list(prefetch(lambda n: n * n, range(6), threaded=threaded)) == [0, 1, 4, 9, 16, 25]
    assert list(prefetch(str, [], threaded=threaded)) == []


def test_the_next_is_begun_before_this_one_is_used_and_no_more():
    begun = [threading.Event() for _ in range(5)]

    def make(n):
        begun[n].set()
        return n

    results = prefetch(make, range(5), threaded=True)
    for n in range(5):
        assert next(results) == n
        if n < 4:
            assert begun[n + 1].wait(5)
        assert not any(event.is_set() for event in begun[n + 2 :])


@pytest.mark.parametrize("threaded", [False, True])
def test_an_error_comes_where_its_item_would_and_no_thread_stays(threaded):
    before = threading.active_count()
    results = prefetch(lambda n: 1 / n, [2, 1, 0, 4], threaded=threaded)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before
