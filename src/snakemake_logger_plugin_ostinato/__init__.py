"""No logger: the one place where Snakemake can be told of a cache.

Snakemake makes a cache in the user's home before it reads a Snakefile, has no option for its place, and ends where the home cannot be written. But it first imports
all packages that are named as its plugins, and importing ostinato chooses a cache that can be written (see ostinato.caches).
"""

from snakemake_interface_logger_plugins.base import LogHandlerBase

import ostinato  # noqa: F401


class LogHandler(LogHandlerBase):
    """What a plugin must have; nobody asks for it."""
