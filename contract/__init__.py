"""Everything that crosses between the program, the nodes and the routers. Pure: no I/O."""
