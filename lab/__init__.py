"""Azure on one machine: provider plugins, a simulated Azure, and the commands that run them."""
