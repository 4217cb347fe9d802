"""Makes a Python that is already installed, and its packages, known to Bazel.

`python_configure(name = "pypi", packages = ["tf-slim"])` declares

*   `@pypi//:toolchain`, the Python toolchain to register, and
*   `@pypi//tf_slim`, and so on for every package: a `py_library` to depend on.

The interpreter is the one that the environment variable `PYTHON_BIN_PATH` names,
else the `python3` on `PATH`. Nothing is downloaded. The libraries are empty, as
the interpreter finds its own packages, but they do two things: a package that
is not installed is an error before any test runs, and a package's version is
an input of the tests, so that results of another version are not reused.

Bazel asks the interpreter again when one of the two variables changes. After
installing another version into the same environment, call
`bazel sync --configure`.
"""

_VARIABLE = "PYTHON_BIN_PATH"

# Prints the interpreter's path, then one line per package: its version, empty
# if it is not installed.
_QUERY = """
import sys
from importlib import metadata

print(sys.executable)
for name in sys.argv[1:]:
  try:
    print(metadata.version(name))
  except metadata.PackageNotFoundError:
    print()
"""

# The default shebang is `/usr/bin/env python`, a command that may not exist.
_TOOLCHAIN_BUILD = """\
load("@rules_python//python:py_runtime.bzl", "py_runtime")
load("@rules_python//python:py_runtime_pair.bzl", "py_runtime_pair")

py_runtime(
    name = "py3_runtime",
    interpreter_path = "{python}",
    python_version = "PY3",
    stub_shebang = "#!{python}",
)

py_runtime_pair(
    name = "py_runtime_pair",
    py3_runtime = ":py3_runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":py_runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
    visibility = ["//visibility:public"],
)
"""

_PACKAGE_BUILD = """\
load("@rules_python//python:py_library.bzl", "py_library")

py_library(
    name = "{name}",
    data = ["version.txt"],
    visibility = ["//visibility:public"],
)
"""

def _interpreter(repository_ctx):
    """Returns the path of the interpreter to ask."""
    named = repository_ctx.os.environ.get(_VARIABLE)
    if named and "/" in named:
        if not named.startswith("/"):
            fail("%s must be an absolute path, not %s." % (_VARIABLE, named))
        path = repository_ctx.path(named)
        if not path.exists:
            fail("%s does not exist; set %s to another Python." % (named, _VARIABLE))
        return path
    path = repository_ctx.which(named or "python3")
    if path == None:
        fail("%s is not on PATH; set %s to the path of a Python." % (
            named or "python3",
            _VARIABLE,
        ))
    return path

def _python_configure_impl(repository_ctx):
    packages = repository_ctx.attr.packages
    path = _interpreter(repository_ctx)
    result = repository_ctx.execute([path, "-I", "-c", _QUERY] + packages)
    if result.return_code:
        fail("%s does not work:\n%s" % (path, result.stderr))

    # `sys.executable` is what a launcher such as pyenv's really starts. It must
    # not be resolved further, or it would leave a virtual environment.
    lines = result.stdout.splitlines()
    python = lines[0]
    if " " in python:
        fail("Tests cannot be started by %r: its path has a space." % python)

    versions = {package: lines[i + 1] for i, package in enumerate(packages)}
    missing = [package for package in packages if not versions[package]]
    if missing:
        fail("%s lacks %s; install them, or set %s to another Python." % (
            python,
            ", ".join(missing),
            _VARIABLE,
        ))

    repository_ctx.file(
        "BUILD",
        _TOOLCHAIN_BUILD.format(python = python),
        executable = False,
    )
    for package, version in versions.items():
        name = package.lower().replace("-", "_").replace(".", "_")
        repository_ctx.file(
            name + "/BUILD",
            _PACKAGE_BUILD.format(name = name),
            executable = False,
        )
        repository_ctx.file(
            name + "/version.txt",
            version + "\n",
            executable = False,
        )

python_configure = repository_rule(
    implementation = _python_configure_impl,
    attrs = {
        "packages": attr.string_list(
            doc = "The names of the needed distributions, e.g. `tf-slim`.",
        ),
    },
    configure = True,
    doc = "Declares an installed Python and its packages; see the file's top.",
    environ = [
        "PATH",
        _VARIABLE,
    ],
    local = True,
)
