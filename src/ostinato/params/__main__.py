"""`python -m ostinato.params`: write the JSON schema of params.yaml, for editors."""

from pathlib import Path

from ostinato.params import schema

Path("workflow/schemas/params.schema.json").write_text(schema())
