"""Whoever runs an experiment is killed, or falls silent, while a real fault is felt: it ends within lease + 1 s."""

import signal

import pytest

from evals.chaos_kill import LEASE_S, outlived


async def test_killed_and_restarted_the_fault_is_gone_within_its_lease_and_a_second(tmp_path):
    measured = await outlived(tmp_path)
    assert measured.after_help_s is not None
    assert measured.after_help_s <= LEASE_S + 1.0


@pytest.mark.parametrize("signalled", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_watch_in_another_process_takes_it_back(tmp_path, signalled):
    measured = await outlived(tmp_path, helped_by="watch", signalled=signalled)
    assert measured.after_signal_s is not None
    assert measured.after_signal_s <= LEASE_S + 1.0


async def test_without_a_lease_on_disk_it_stays(tmp_path):
    measured = await outlived(tmp_path, planted=True)
    assert measured.after_signal_s is None
