"""The stack's resources on Azure: one concern per file, each a component with typed arguments.

`credentials` generates keys, `tags` adds tags to all resources, and `rendering/` renders the texts
and requests that components send.
"""
