"""The Bazel macro `migration_test`, for tests of TF1 to TF2 migrations.

    load("@org_tf_equiv//tf_equiv:build_defs.bzl", "migration_test")

    migration_test(
        name = "resnet_migration_test",
        srcs = ["resnet_migration_test.py"],
        shard_count = 4,
        deps = [":resnet"],
    )

makes the tests `resnet_migration_test_constant` and
`resnet_migration_test_num_random_ops`, and the suite `resnet_migration_test`
of both. The workspace must declare `@rules_python` and a repository `@pypi` with
`absl_py`, `numpy`, `tensorflow`, `tf_keras` and `tf_slim`. Under another name,
pass it on where you declare `@org_tf_equiv`, with
`repo_mapping = {"@pypi": "@my_pip_deps"}`.
"""

load("@rules_python//python:py_test.bzl", "py_test")

# The values of tf_equiv.SeedMode.
SEED_MODES = [
    "constant",
    "num_random_ops",
]

# A Label, not a string: it means this repository wherever the macro is called.
_LIBRARY = Label("//tf_equiv:tf_equiv")

_MODES_VARIABLE = "TF_EQUIV_SEED_MODES"

def _check_seed_modes(name, seed_modes):
    """Fails unless `seed_modes` is a list of different, known modes."""
    where = "migration_test(name = \"%s\")" % name
    if type(seed_modes) != type([]) or not seed_modes:
        fail("%s: seed_modes must be a non-empty list of %s, not %r." % (
            where,
            SEED_MODES,
            seed_modes,
        ))
    for i, mode in enumerate(seed_modes):
        if mode not in SEED_MODES:
            fail("%s: unknown seed mode %r; the seed modes are %s." % (
                where,
                mode,
                SEED_MODES,
            ))
        if mode in seed_modes[:i]:
            fail("%s: seed mode %r is given twice." % (where, mode))

def _main(name, srcs):
    """Returns which of `srcs` to run, by the rule of `py_test`."""
    if len(srcs) == 1:
        return srcs[0]
    if name + ".py" in srcs:
        return name + ".py"
    fail("migration_test(name = \"%s\"): main must say which of srcs to run." % name)

def migration_test(
        name,
        srcs,
        main = None,
        deps = [],
        seed_modes = SEED_MODES,
        shard_count = None,
        size = "medium",
        args = [],
        tags = [],
        env = {},
        **kwargs):
    """Declares one `py_test` per seed mode, and a `test_suite` of them.

    The tests are called `<name>_<mode>`, and tagged `seed_mode=<mode>`. Their
    environment has TF_EQUIV_SEED_MODES=<mode>, which reduces
    `tf_equiv.SEED_MODES` to that mode, and TF_USE_LEGACY_KERAS=1.

    Args:
      name: the name of the suite.
      srcs: the sources of the tests, which are the same for all modes.
      main: the file to run, by default the only one of `srcs`, or `<name>.py`.
      deps: the libraries that `srcs` import, without tf_equiv, which is added.
      seed_modes: the modes to test, any of `SEED_MODES`.
      shard_count: into how many processes to split the test of each mode.
      size: the size of the test of each mode.
      args: command line arguments, the same for all modes.
      tags: the tags of the tests and of the suite.
      env: further environment variables. TF_USE_LEGACY_KERAS may be overridden.
      **kwargs: further arguments of `py_test`. `visibility` and `testonly` are
        the suite's as well.
    """
    _check_seed_modes(name, seed_modes)
    if _MODES_VARIABLE in env:
        fail("migration_test(name = \"%s\"): use seed_modes, not %s in env." % (
            name,
            _MODES_VARIABLE,
        ))

    tests = []
    for mode in seed_modes:
        test_env = {"TF_USE_LEGACY_KERAS": "1"}
        test_env.update(env)
        test_env[_MODES_VARIABLE] = mode
        tests.append("%s_%s" % (name, mode))
        py_test(
            name = tests[-1],
            size = size,
            srcs = srcs,
            args = args,
            env = test_env,
            main = main or _main(name, srcs),
            shard_count = shard_count,
            tags = tags + ["seed_mode=" + mode],
            deps = [_LIBRARY] + deps,
            **kwargs
        )

    native.test_suite(
        name = name,
        tags = tags,
        testonly = kwargs.get("testonly"),
        tests = [":" + test for test in tests],
        visibility = kwargs.get("visibility"),
    )
