"""`tf_equiv ratchet`: whether a change proves less than what was there."""

from tf_equiv.certificate import files, ratchet
from tf_equiv.core import errors


def run(arguments) -> int:
  """Prints what was lost and gained; returns the exit code."""
  old = files.read(arguments.old)
  new = files.merged([files.read(each) for each in arguments.new])
  change = ratchet.compare(old, new)
  for kind, texts in (('lost', change.lost), ('gained', change.gained)):
    for text in texts:
      print(errors.printable(f'{kind}: {text}'))
  if change.lost:
    print(f'{", ".join(arguments.new)} proves less than {arguments.old}')
    return 1
  print(
    f'nothing is lost: {change.kept} claims as before, '
    f'{len(change.gained)} more'
  )
  return 0
