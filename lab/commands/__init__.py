"""What a user types: `python -m lab COMMAND`."""
