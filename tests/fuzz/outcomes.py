"""What a subject raises besides the errors of the package."""


class WrongError(Exception):
  """Something damaged was taken for what it is not, or something is left."""


class EndedError(Exception):
  """It came to the end that it should come to, without a result."""
