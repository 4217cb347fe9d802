"""The Bazel macro of the cases of suite.py."""

load("@rules_python//python:py_test.bzl", "py_test")

# As in suite.py.
SHARD_COUNTS = [1, 2, 4, 8, 16, 32]

def sharded_tests(name, **kwargs):
    """Declares the test `<name>_<n>_shards` for each n of `SHARD_COUNTS`.

    They only run when they are asked for.

    Args:
      name: the beginning of their names.
      **kwargs: further arguments of `py_test`.
    """
    for count in SHARD_COUNTS:
        py_test(
            name = "%s_%d_shards" % (name, count),
            size = "enormous",
            shard_count = count,
            tags = ["manual"],
            **kwargs
        )
