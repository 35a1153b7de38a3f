"""Print one of the README's two set-up commands: the block after `<!-- NAME -->`, joined to one line."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
found = re.search(rf"<!-- {sys.argv[1]} -->\s*```sh\n(.*?)```", readme, re.S)
if found is None:
    sys.exit(f"README.md has no command `{sys.argv[1]}`")
print(found.group(1).replace("\\\n", " ").strip())
