"""The torch side that both workers share: models, encoding, generation and measurement.

Owns the one way a row becomes tokens and a loss mask (`encoding`), so that what is trained is what is measured, and the
built-in base model (`builtin/nano-v1`). Importing the package itself loads nothing heavy.
"""
