"""Replies of any length: read in linear time, and cut where they are quoted."""

import json
import os
import sys
import threading
import time
import zlib
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest, parameterized

from tf_equiv.core import own_json
from tf_equiv.references.interpreter import process, replies
from tf_equiv.tf1.worker import service

_MB = 1 << 20


class LongReplyTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.answers, self.end = os.pipe()
    self.addCleanup(os.close, self.answers)
    self.worker = process.WorkerProcess.__new__(process.WorkerProcess)
    self.worker._answers = self.answers
    self.worker._received = []
    self.worker._length = 0
    self.worker._process = absltest.mock.Mock(**{'poll.return_value': None})
    self.taken = []
    self.worker._take = self.taken.append
    os.set_blocking(self.answers, False)

  def receive(self, data):
    def write():
      with os.fdopen(self.end, 'wb') as stream:
        stream.write(data)

    writing = threading.Thread(target=write)
    writing.start()
    start = time.monotonic()
    while sum(map(len, self.taken)) + len(self.taken) < len(data):
      self.worker._receive(start + 60)
    writing.join()
    return time.monotonic() - start

  def test_one_long_line_among_others(self):
    lines = [b'{"begin": 1}', b'x' * (60 * _MB), b'', b'{"id": 1}']
    seconds = self.receive(b'\n'.join(lines) + b'\n')
    self.assertEqual(self.taken, lines)
    # Copying what has come with each piece took a minute.
    self.assertLess(seconds, 20)

  def test_many_short_lines(self):
    lines = [b'{"id": %d}' % i for i in range(50000)]
    self.receive(b'\n'.join(lines) + b'\n')
    self.assertEqual(self.taken, lines)


def framed(reply):
  data = json.dumps(reply).encode()
  return b'%08x %s' % (zlib.crc32(data), data)


class ParseTest(parameterized.TestCase):
  @parameterized.parameters(
    {'begin': 1},
    {'stage': 'TF1: building'},
    {'id': 1, 'result': None},
    {'id': 1, 'error': {'kind': 'a', 'message': 'b'}},
    {
      'id': 1,
      'error': {'kind': 'a', 'message': 'b', 'frames': [['f', 1, 'g', '']]},
    },
  )
  def test_a_reply(self, **reply):
    self.assertEqual(replies.parse(framed(reply)), reply)

  @parameterized.parameters(
    ({},),
    ([],),
    (None,),
    ({'begin': '1'},),
    ({'begin': True},),
    ({'begin': 1, 'id': 1},),
    ({'id': 1},),
    ({'id': 1, 'result': 1, 'error': {}},),
    ({'id': 1, 'error': None},),
    ({'id': 1, 'error': {}},),
    ({'id': 1, 'error': {'kind': 'a', 'message': 1}},),
    ({'id': 1, 'error': {'kind': 'a', 'message': 'b', 'frames': [['f']]}},),
  )
  def test_no_reply(self, reply):
    with self.assertRaises(replies.NotAReplyError):
      replies.parse(framed(reply))

  def test_every_changed_byte_is_noticed(self):
    line = framed({'id': 3, 'result': 'reply2'})
    for i in range(len(line)):
      for bit in range(8):
        changed = bytearray(line)
        changed[i] ^= 1 << bit
        with self.assertRaises(replies.NotAReplyError):
          replies.parse(bytes(changed))
    for text in (b'', b'text', line[1:], line[:-1], line + b' ', line * 2):
      with self.assertRaises(replies.NotAReplyError):
        replies.parse(text)

  @parameterized.parameters(
    (None, {'python': '3', 'numpy': '1', 'tensorflow': '1', 'pid': 1}),
    ('load', {'defined': ['build_tf1']}),
    ('line', ['file.py', 1, 'f', 'x']),
    ('run', 'reply12'),
  )
  def test_results(self, do, result):
    replies.check_result(do, result)
    others = (None, 1, [], {}, [1], 'reply', '../reply1', 'reply1/x', 'a')
    for other in others:
      with self.assertRaises(replies.NotAReplyError):
        replies.check_result(do, other)


class OwnJsonTest(absltest.TestCase):
  def test_what_is_patched_does_not_matter(self):
    with (
      mock.patch.object(json.JSONEncoder, 'encode', None),
      mock.patch.object(json.JSONDecoder, 'decode', None),
      mock.patch.object(json, 'dumps', None),
      mock.patch.dict(sys.modules, {'json': None}),
    ):
      self.assertEqual(own_json.loads(own_json.dumps({'a': [1]})), {'a': [1]})
    self.assertIs(sys.modules['json'], json)
    self.assertIs(sys.modules['json.decoder'], json.decoder)


class LongErrorTest(absltest.TestCase):
  def test_worker_cuts_what_it_says(self):
    def fails(depth):
      if depth:
        fails(depth - 1)
      raise ValueError('first ' + 'x' * (50 * _MB) + ' last')

    try:
      fails(500)
    except ValueError as error:
      described = service.describe(error)
    self.assertStartsWith(described['message'], 'ValueError: first x')
    self.assertEndsWith(described['message'], 'x last')
    self.assertLen(described['frames'], 200)
    self.assertLess(len(json.dumps(described)), 200000)

  def test_short_error(self):
    try:
      raise tf_equiv.UsageError('short')
    except tf_equiv.UsageError as error:
      described = service.describe(error)
    self.assertEqual(described['message'], 'short')
    self.assertEqual(described['kind'], 'UsageError')
    self.assertEqual(described['frames'][0][2], 'test_short_error')

  def test_error_of_a_worker_that_does_not_cut(self):
    error = process.RemoteError('other', 'y' * (50 * _MB))
    self.assertLess(len(error.message), 51000)
    self.assertLess(len(str(error)), 51000)


if __name__ == '__main__':
  absltest.main()
