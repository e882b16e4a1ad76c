"""Rollouts of services: apply, remove, recover."""
