"""Azure on a laptop: provider plugins, a simulated cloud and the commands that run them."""
