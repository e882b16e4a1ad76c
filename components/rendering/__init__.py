"""What the program renders: cloud-config, units, requests. Pure: no resource."""
