"""The files that belong to the project, without what tools left beside them."""

import os
import re
import subprocess
from pathlib import Path

IGNORED = re.compile(r"\.(?!ci$|gitignore$)|__pycache__$|build$|dist$|results$|.*\.egg-info$")


def tree_files(root: Path) -> list[str]:
    """Return paths relative to `root`: what git knows or would add; in an unpacked archive, what is not a left-over."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, subfolders, files in os.walk(root):
            subfolders[:] = [name for name in subfolders if not IGNORED.match(name)]
            names += [(Path(folder) / name).relative_to(root).as_posix() for name in files if not IGNORED.match(name)]
    return sorted(name for name in names if (root / name).is_file())
