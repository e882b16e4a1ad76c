"""The two users' stacks, side by side in one lab; one folder, so that each comes up once."""
