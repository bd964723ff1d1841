# SPDX-License-Identifier: Apache-2.0
"""Sessions: ids in, logits out, without copies; snapshots that go on bit for bit."""

import array
import gc
import pickle
import threading

import numpy as np
import pytest

import quamba2

IDS = [17, 900, 23, 4011, 5, 812, 77, 1234]


def test_ids_may_be_of_any_kind(model):
    expected = model.session().prefill(IDS)
    assert expected.shape == (model.logits_size,) and expected.dtype == np.float32
    assert np.isfinite(expected[: model.vocab_size]).all() and expected.std() > 0
    strided = np.repeat(np.array(IDS, np.int64), 2)[::2]
    frozen = np.array(IDS, np.int32)
    frozen.flags.writeable = False
    for ids in (tuple(IDS), np.array(IDS, np.int32), np.array(IDS, np.int64), strided, frozen, array.array("i", IDS)):
        assert np.array_equal(model.session().prefill(ids), expected)


def test_ids_of_other_kinds_are_refused(model):
    session = model.session()
    for ids in ([1.5], ["a"], np.array([1.0]), np.array([[1, 2]]), 3, "text"):
        with pytest.raises(TypeError, match="token ids"):
            session.prefill(ids)
    with pytest.raises(ValueError, match="32 bits"):
        session.prefill(np.array([1 << 40]))
    for ids in ([-1], [model.logits_size]):
        with pytest.raises(quamba2.UsageError):
            session.prefill(ids)
    with pytest.raises(quamba2.UsageError, match="no token was read"):
        session.prefill([])
    assert session.tokens == 0


def test_logits_belong_to_the_caller(model):
    session = model.session()
    first = session.prefill(IDS)
    kept = first.copy()
    session.prefill(IDS)
    assert np.array_equal(first, kept)
    del session
    gc.collect()
    first[0] = 1  # writeable
    assert np.array_equal(first[1:], kept[1:])


def test_dlpack_shares_the_memory(model):
    logits = model.session().prefill(IDS)
    other = np.from_dlpack(logits)
    assert other.__array_interface__["data"][0] == logits.__array_interface__["data"][0]


def test_every_row_is_what_reading_up_to_there_gives(model):
    session = model.session()
    rows = session.prefill_every(IDS)
    assert rows.shape == (len(IDS), model.logits_size)
    assert np.array_equal(rows[-1], session.logits())
    short = model.session().prefill(IDS[:3])
    assert np.allclose(rows[2], short, rtol=1e-4, atol=1e-4)  # chunks of a scan end elsewhere: float order
    assert session.tokens == len(IDS)


def test_a_snapshot_goes_on_bit_for_bit(model):
    a = model.session()
    a.prefill(IDS)
    kept = a.snapshot()
    assert kept.tokens == len(IDS) and kept.nbytes >= model.state_bytes
    expected = a.prefill([5, 6, 7])
    a.restore(kept)
    assert a.tokens == len(IDS)
    assert np.array_equal(a.prefill([5, 6, 7]), expected)
    b = model.session()
    b.restore(pickle.loads(pickle.dumps(kept)))
    assert np.array_equal(b.prefill([5, 6, 7]), expected)
    b.reset()
    assert b.tokens == 0
    with pytest.raises(quamba2.UsageError):
        b.logits()


def test_a_snapshot_that_does_not_fit_is_refused(model):
    a = model.session()
    a.prefill(IDS)
    state, logits, tokens = a.snapshot().__getstate__()
    for wrong in ((state[:-1], logits, tokens), (state, logits[:-4], tokens), (state, logits, -1)):
        snapshot = quamba2.Snapshot.__new__(quamba2.Snapshot)
        snapshot.__setstate__(wrong)
        with pytest.raises(quamba2.UsageError, match="state does not fit"):
            a.restore(snapshot)
    assert a.tokens == len(IDS)


def test_threads_take_turns(model):
    expected = {k: model.session().prefill(IDS[k:]) for k in range(4)}
    wrong = []

    def work(k):
        for _ in range(5):
            session = model.session()  # dropped while others work
            if not np.array_equal(session.prefill(IDS[k:]), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
