"""The machine below the lab: Docker, processes, paths, endpoints."""
