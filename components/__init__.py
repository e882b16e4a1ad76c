"""What the stack consists of: one Azure concern a file, as ComponentResources with typed args."""
