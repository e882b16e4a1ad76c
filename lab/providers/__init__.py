"""Provider plugins that stand in for the real ones when the program runs in the lab."""
