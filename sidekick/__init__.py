"""The announcer: one program on every node that checks the node's instances and announces them.

A sidekick is a unit beside an instance. It has no process: its ExecStart registers the instance
with the announcer, its ExecStop returns when the instance is drained.

    control       the socket on which sidekicks register and leave
    announcer     all sidekicks of the node; it survives its own restart
    watch         one sidekick: check, announce, rest, until it leaves
    standing      what a check means for the instance: a state machine, pure
    checks        http, tcp, command and container
    container     what docker's description says about an instance, pure
    process       the container's main process; its end wakes the watch
    docker        docker's API
    node          the node's name, address and ids, and what the announcer reaches there
    announcement  the instance's keys in etcd
    departure     out of routing, and drained
    journal       what a sidekick says, and an instance's last log lines
"""
