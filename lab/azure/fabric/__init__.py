"""From resources to traffic: the load balancer's orders, packet filters."""
