"""Ostinato: from a folder of music to models that obey chord names, and the evidence of how well they do."""

from ostinato import caches

__version__ = "0.1.0"

caches.settle()
