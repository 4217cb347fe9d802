"""The Bazel macro `py_tests`, for the tests of this repository."""

load("@rules_python//python:py_test.bzl", "py_test")

_SIZES = ["small", "medium", "large", "enormous"]

def _check_names(name, attribute, names, tests):
    """Fails if `attribute` names a test that does not exist."""
    for test in names:
        if test not in tests:
            fail("py_tests(name = \"%s\"): %s names %r, but there is no %s.py." % (
                name,
                attribute,
                test,
                test,
            ))

def _union(lists):
    """Returns what lists hold, each once, in order."""
    found = []
    for items in lists:
        found += [item for item in items if item not in found]
    return found

def py_tests(
        name,
        size = "medium",
        sizes = {},
        shard_counts = {},
        data = {},
        deps = [],
        test_deps = {},
        **kwargs):
    """Declares one `py_test` per file `*_test.py` here, and a suite of them.

    A test has the name of its file. The small ones of a package also run
    together, in one process that is called `small_tests`, because the import of
    TensorFlow takes longer than most of them; `//...` means that process, and
    each of them by itself only where it is named.

    Args:
      name: the name of the suite.
      size: the size of the tests that `sizes` does not name.
      sizes: lists of tests by size.
      shard_counts: into how many processes to split a test, by test.
      data: the files that a test reads, by test.
      deps: what all tests need. absl is added.
      test_deps: what a test needs besides, by test.
      **kwargs: further arguments of `py_test`, the same for all tests.
    """
    tests = [src[:-len(".py")] for src in native.glob(["*_test.py"])]
    size_of = {}
    for other, names in sizes.items():
        if other not in _SIZES:
            fail("py_tests(name = \"%s\"): no size %r." % (name, other))
        _check_names(name, "sizes", names, tests)
        size_of.update([(test, other) for test in names])
    _check_names(name, "shard_counts", shard_counts, tests)
    _check_names(name, "data", data, tests)
    _check_names(name, "test_deps", test_deps, tests)

    small = [test for test in tests if size_of.get(test, size) == "small"]
    if len(small) < 2:
        small = []
    for test in tests:
        py_test(
            name = test,
            size = size_of.get(test, size),
            srcs = [test + ".py"],
            data = data.get(test, []),
            shard_count = shard_counts.get(test),
            tags = ["manual"] if test in small else [],
            deps = ["@pypi//absl_py"] + deps + test_deps.get(test, []),
            **kwargs
        )

    if small:
        package = native.package_name().replace("/", ".")
        py_test(
            name = "small_tests",
            size = "small",
            timeout = "long",
            srcs = [test + ".py" for test in small] + ["//tests:together.py"],
            main = "//tests:together.py",
            args = ["%s.%s" % (package, test) for test in small],
            data = _union([data.get(test, []) for test in small]),
            deps = _union([["@pypi//absl_py"], deps] +
                          [test_deps.get(test, []) for test in small]),
            **kwargs
        )

    native.test_suite(
        name = name,
        tests = [":" + test for test in tests if test not in small] +
                ([":small_tests"] if small else []),
    )
