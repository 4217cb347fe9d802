"""What Bazel 4 needs to run Python tests without network access.

Before its first test, Bazel 4 downloads `@rules_cc`, `@rules_java` and
`@remote_coverage_tools`, of which Python tests use nothing. A repository that
the WORKSPACE declares under such a name replaces the download. Hence the
substitutes here, whose rules are those built into Bazel. `@rules_python` is
one of them too, so that BUILD files have the loads that later versions of Bazel
require. Where the real repositories are declared, leave this out.
"""

def _files_repository_impl(repository_ctx):
    for path, content in repository_ctx.attr.files.items():
        repository_ctx.file(path, content, executable = False)

_files_repository = repository_rule(
    implementation = _files_repository_impl,
    attrs = {
        "files": attr.string_dict(doc = "The contents of the files by path."),
    },
    doc = "A repository made of the given files.",
)

def _native(*rules):
    """Returns the text of a .bzl file that exports these built-in rules."""
    return "".join(["%s = native.%s\n" % (rule, rule) for rule in rules])

_COVERAGE_BUILD = """\
filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
"""

_PY_RUNTIME_PAIR = """\
load(
    "@bazel_tools//tools/python:toolchain.bzl",
    _py_runtime_pair = "py_runtime_pair",
)

py_runtime_pair = _py_runtime_pair
"""

def bazel4_repositories():
    """Declares the substitutes."""
    _files_repository(
        name = "rules_cc",
        files = {
            "BUILD": "",
            "cc/BUILD": "",
            "cc/defs.bzl": _native(
                "cc_binary",
                "cc_library",
                "cc_test",
                "cc_toolchain",
                "cc_toolchain_suite",
            ),
        },
    )
    _files_repository(
        name = "rules_java",
        files = {
            "BUILD": "",
            "java/BUILD": "",
            "java/defs.bzl": _native(
                "java_import",
                "java_runtime",
                "java_toolchain",
            ),
        },
    )
    _files_repository(
        name = "remote_coverage_tools",
        files = {"BUILD": _COVERAGE_BUILD},
    )
    _files_repository(
        name = "rules_python",
        files = {
            "BUILD": "",
            "python/BUILD": "",
            "python/py_binary.bzl": _native("py_binary"),
            "python/py_library.bzl": _native("py_library"),
            "python/py_runtime.bzl": _native("py_runtime"),
            "python/py_runtime_pair.bzl": _PY_RUNTIME_PAIR,
            "python/py_test.bzl": _native("py_test"),
        },
    )
