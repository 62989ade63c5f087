"""Eight processes answer the same approval at once, two hundred times, on both databases."""

from evals.races import race


def test_one_decider_wins_each_round_and_the_others_learn_who(database_url: str) -> None:
    report = race(database_url, processes=8, rounds=200)
    assert report.broken == ()
    assert report.audit_ok
    assert report.clicks == 1600
    assert sum(report.winners.values()) == 200
    assert len(report.winners) > 1, "one process won every round: this was no race"
