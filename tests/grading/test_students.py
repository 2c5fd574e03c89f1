"""A student's constants: the same every time, different from a friend's, within their range."""
from nanolm.grading import exercises
from nanolm.grading.students import Constants


def test_constants_are_reproducible_and_ones_own():
    ids = [f"s{i}" for i in range(200)]
    drawn = [Constants(one).real("softmax.temperature", 0.5, 2.5) for one in ids]
    assert drawn == [Constants(one).real("softmax.temperature", 0.5, 2.5) for one in ids]
    assert all(0.5 <= x <= 2.5 for x in drawn) and len(set(drawn)) > 100
    assert Constants("s1").real("a", 0, 1) != Constants("s1").real("b", 0, 1)
    assert {Constants(one).whole("n", 2, 4) for one in ids} == {2, 3, 4}
    assert Constants(" s1 ").share("a") == Constants("s1").share("a")


def test_orders_are_permutations():
    orders = {tuple(Constants(f"s{i}").order("zoo", "abcd")) for i in range(50)}
    assert len(orders) > 10 and all(sorted(order) == list("abcd") for order in orders)


def test_exercises_of_two_students_share_their_names():
    assert list(exercises.all_of("s1")) == list(exercises.all_of("s2"))
