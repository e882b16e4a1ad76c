"""What the stack consists of: one Azure concern a file, each a ComponentResource with typed args."""
