"""The lab's part of this machine: Docker, processes, folders, and how to reach the lab."""
