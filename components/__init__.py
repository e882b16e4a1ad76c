"""The stack's resources on Azure: one concern per file, each a component with typed arguments.

`credentials` makes keys, `tags` marks everything, and `rendering/` holds the texts and requests
that components send.
"""
