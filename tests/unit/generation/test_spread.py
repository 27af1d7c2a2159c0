from polaris.generation.spread import spread


def test_one_engine_takes_a_whole_group():
    busy = [5]
    assert spread(3, busy) == {0: [0, 1, 2]} and busy == [8]


def test_each_response_goes_to_the_engine_with_the_fewest():
    busy = [2, 0, 1]
    assert spread(5, busy) == {1: [0, 1, 4], 2: [2], 0: [3]}
    assert busy == [3, 3, 2]
    assert spread(0, busy) == {} and busy == [3, 3, 2]
