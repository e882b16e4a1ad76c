"""A small web application that says which instance, on which node, of which release answered."""
